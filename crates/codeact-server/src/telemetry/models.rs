//! Spans of calls of models, with the attributes of OpenTelemetry's conventions for generative AI.

use std::sync::Arc;

use codeact::llm::{Completion, Model, Request, Watch};
use tracing::Instrument;
use tracing::field::Empty;

/// A model whose calls are spans. Neither messages nor replies are recorded.
pub(crate) struct TracedModel(pub(crate) Arc<dyn Model>);

impl Model for TracedModel {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn complete<'a>(&'a self, request: Request<'a>, watch: Watch<'a>) -> Completion<'a> {
        let span = tracing::info_span!(
            "chat",
            gen_ai.operation.name = "chat",
            gen_ai.request.model = self.0.name(),
            gen_ai.response.model = Empty,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            error.type = Empty,
        );
        let recorded = span.clone();
        let call = async move {
            let reply = self.0.complete(request, watch).await;
            match &reply {
                Ok(reply) => {
                    recorded.record("gen_ai.response.model", reply.model.as_str());
                    if let Some(usage) = &reply.usage {
                        recorded.record("gen_ai.usage.input_tokens", usage.input_tokens);
                        recorded.record("gen_ai.usage.output_tokens", usage.output_tokens);
                    }
                }
                // The text may quote the server.
                Err(_) => {
                    recorded.record("error.type", "_OTHER");
                }
            }
            reply
        };
        Box::pin(call.instrument(span))
    }
}
