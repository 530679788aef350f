//! One tool: what it is called, what it takes, and what it does.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonschema::{PatternOptions, Validator};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::ToolsError;
use super::python::{self, Signature};
use crate::sandbox::{FailureKind, Payload, is_deeper};

/// The longest error of a schema, in characters.
const MAX_MESSAGE: usize = 500;
/// How deep arguments are in which it is told what is wrong with them.
const MAX_EXPLAINED: usize = 5;

/// What a tool may use. Each bound is the host's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolLimits {
    /// How long one call may take. Default 60 s. A turn's own wall time holds as well.
    pub time: Duration,
    /// Calls in one turn. Default 10,000.
    pub calls: u64,
    /// Bytes of one call's arguments. Default 16 MiB.
    pub bytes_in: u64,
    /// Bytes of one answer. Default 16 MiB.
    pub bytes_out: u64,
}

impl Default for ToolLimits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(60),
            calls: 10_000,
            bytes_in: 16 << 20,
            bytes_out: 16 << 20,
        }
    }
}

/// Why a tool gives no answer. The message goes to the code, and so to whoever wrote the code: it should
/// say what happened and what to do, and nothing of the host's internals. There is therefore no
/// conversion from other errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolFailure {
    pub(super) kind: FailureKind,
    pub(super) message: String,
}

impl ToolFailure {
    /// The tool failed: a `ToolError` in Python.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Failed,
            message: message.into(),
        }
    }

    /// The tool refuses: a `ToolDenied` in Python.
    pub fn denied(message: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Denied,
            message: message.into(),
        }
    }
}

impl From<String> for ToolFailure {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

impl From<&str> for ToolFailure {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}

/// Bytes in the arguments or the result of a tool: `bytes` in Python.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;

        let mut map = to.serialize_map(Some(1))?;
        map.serialize_entry("$bytes", &STANDARD.encode(&self.0))?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = STANDARD.decode(text).map_err(serde::de::Error::custom)?;
        Ok(Self(bytes))
    }
}

impl JsonSchema for Bytes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "contentEncoding": "base64" })
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Payload, ToolFailure>> + Send>>;

/// A function of the host that code in the sandbox can call.
///
/// ```
/// use codeact::tools::{Tool, ToolFailure};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Query {
///     /// What it is called in the shop
///     item: String,
/// }
///
/// let price = Tool::new("price", "The price of an item in euros", |query: Query| async move {
///     match &*query.item {
///         "pear" => Ok(1.5),
///         item => Err(ToolFailure::new(format!("there is no {item} in the shop"))),
///     }
/// })?;
/// # Ok::<(), codeact::tools::ToolsError>(())
/// ```
///
/// In Python that is `tools.price(item: str) -> float`.
#[derive(Clone)]
pub struct Tool {
    pub(super) name: String,
    description: String,
    pub(super) limits: ToolLimits,
    pub(super) signature: Signature,
    args: Value,
    result: Option<Value>,
    validator: Arc<Validator>,
    run: Arc<dyn Fn(Value) -> Answer + Send + Sync>,
}

impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tool({})", self.signature.header)
    }
}

impl Tool {
    /// A tool whose arguments and result are described by their types. `A` is a struct with named
    /// fields. The function's future is polled on threads that run guests as well as in the runtime of
    /// whoever runs the turn: like any future it must not block.
    ///
    /// # Errors
    ///
    /// [`ToolsError`] when the arguments are not named, or two have the same name in Python.
    pub fn new<A, R, F>(
        name: impl Into<String>,
        description: impl Into<String>,
        run: impl Fn(A) -> F + Send + Sync + 'static,
    ) -> Result<Self, ToolsError>
    where
        A: DeserializeOwned + JsonSchema,
        R: Serialize + JsonSchema,
        F: Future<Output = Result<R, ToolFailure>> + Send + 'static,
    {
        let (args, result) = (schema_of::<A>(), schema_of::<R>());
        let run = move |args: Value| -> Answer {
            // The schema was held to, but it may say less than the type does.
            match serde_json::from_value(args) {
                Ok(args) => {
                    let answer = run(args);
                    Box::pin(async move {
                        let answer = serde_json::to_value(answer.await?);
                        answer
                            .map(Payload::new)
                            .map_err(|_| ToolFailure::new("the tool's answer is no JSON value"))
                    })
                }
                Err(e) => {
                    let failure = ToolFailure {
                        kind: FailureKind::Arguments,
                        message: e.to_string(),
                    };
                    Box::pin(async { Err(failure) })
                }
            }
        };
        Self::of_payload(name, description, args, Some(result), run)
    }

    /// A tool whose arguments and result are described by JSON Schemas (2020-12, or as their `$schema`
    /// says). The arguments arrive as an object that is as its schema wants it, with bytes as base64 text;
    /// in the result, bytes are objects `{"$bytes": "BASE64"}`.
    ///
    /// # Errors
    ///
    /// [`ToolsError`] when a schema is none, or the arguments are no object.
    pub fn with_schema<F>(
        name: impl Into<String>,
        description: impl Into<String>,
        args: Value,
        result: Option<Value>,
        run: impl Fn(Value) -> F + Send + Sync + 'static,
    ) -> Result<Self, ToolsError>
    where
        F: Future<Output = Result<Value, ToolFailure>> + Send + 'static,
    {
        Self::of_payload(name, description, args, result, move |args| {
            let answer = run(args);
            Box::pin(async move { answer.await.map(Payload::new) })
        })
    }

    pub(super) fn of_payload(
        name: impl Into<String>,
        description: impl Into<String>,
        args: Value,
        result: Option<Value>,
        run: impl Fn(Value) -> Answer + Send + Sync + 'static,
    ) -> Result<Self, ToolsError> {
        let (given, description) = (name.into(), description.into());
        let refused = |why: String| ToolsError::Tool {
            name: given.chars().take(100).collect(),
            why,
        };
        let parts: Vec<_> = given.split('.').map(python::identifier).collect();
        let last = parts.last().map_or("", String::as_str);
        let signature =
            Signature::new(last, &description, &args, result.as_ref()).map_err(refused)?;
        let validator = jsonschema::options()
            // Schemas may come from strangers: no backtracking, and nothing is fetched.
            .with_pattern_options(PatternOptions::regex())
            .offline()
            .build(&args)
            .map_err(|e| refused(format!("the schema of its arguments is none: {e}")))?;
        Ok(Self {
            name: parts.join("."),
            description,
            limits: ToolLimits::default(),
            signature,
            args,
            result,
            validator: Arc::new(validator),
            run: Arc::new(run),
        })
    }

    /// What its calls may use. Default: [`ToolLimits::default`].
    #[must_use]
    pub fn limits(mut self, limits: ToolLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Its name in Python, below `tools`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its description.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The JSON Schema of its arguments.
    pub fn args_schema(&self) -> &Value {
        &self.args
    }

    /// The JSON Schema of its result, where one is known.
    pub fn result_schema(&self) -> Option<&Value> {
        self.result.as_ref()
    }

    /// Its signature in Python, e.g. `shop.price(item: str) -> float`.
    pub fn signature(&self) -> String {
        match self.name.rsplit_once('.') {
            Some((namespace, _)) => format!("{namespace}.{}", self.signature.header),
            None => self.signature.header.clone(),
        }
    }

    /// The same tool in a namespace.
    pub(super) fn below(mut self, namespace: &str) -> Self {
        self.name = format!("{namespace}.{}", self.name);
        self
    }

    /// Checks the arguments and makes the call.
    pub(super) fn call(&self, args: Value) -> Result<Answer, ToolFailure> {
        if self.validator.is_valid(&args) {
            return Ok((self.run)(args));
        }
        Err(ToolFailure {
            kind: FailureKind::Arguments,
            message: self.fault(&args).chars().take(MAX_MESSAGE).collect(),
        })
    }

    /// What is wrong with `args`, which are not as the schema wants them.
    fn fault(&self, args: &Value) -> String {
        // Telling what is wrong takes a step for each way to read each level, saying that it is wrong does not.
        if is_deeper(args, MAX_EXPLAINED) {
            return "the arguments are not as its schema wants them, and nested too deeply to tell where"
                .into();
        }
        let Err(e) = self.validator.validate(args) else {
            return "the arguments are not as its schema wants them".into();
        };
        let at = e.instance_path().to_string();
        let mut path = at.split('/').skip(1);
        match path.next() {
            Some(argument) => {
                let inner: Vec<_> = path.collect();
                let inner = match inner.is_empty() {
                    true => String::new(),
                    false => format!(", at {}", inner.join("/")),
                };
                format!("argument `{argument}`{inner}: {e}")
            }
            None => e.to_string(),
        }
    }
}

/// The schema of a type, with all of it in one place.
fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<T>().into()
}
