//! A tool: its name, description, schemas, limits and function.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jsonschema::{PatternOptions, Validator};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use codeact_sandbox::{FailureKind, Payload, is_deeper};

use super::bytes::{self, Arguments};
use super::error::ToolsError;
use super::python::{self, Signature};
use super::schema_memo;
use super::schema_steps::{SchemaSteps, TooManySteps};

/// Largest length of a validation error, in characters.
const MAX_MESSAGE: usize = 500;
/// Largest size of a compiled pattern, and of its table, in bytes.
const MAX_PATTERN_BYTES: usize = 1 << 20;
/// Largest number of steps of a validation whose error is explained.
const MAX_EXPLAINED_STEPS: u64 = 100_000;
/// Error of arguments whose validation is not explained.
const UNEXPLAINED: &str =
    "the arguments do not match the schema, and are too deep or large to find the error";
/// Depth of the deepest arguments whose validation error is explained.
const MAX_EXPLAINED_DEPTH: usize = 5;

/// Limits of a tool. The host enforces them.
///
/// ```
/// use std::time::Duration;
///
/// use codeact_tools::ToolLimits;
///
/// let limits = ToolLimits::default()
///     .with_time(Duration::from_secs(5))
///     .with_calls(100)
///     .with_bytes_out(1 << 20);
/// assert_eq!(limits.bytes_in, 16 << 20);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolLimits {
    /// Duration of one call. Default 60 s. The turn's wall time limit also applies.
    pub time: Duration,
    /// Number of calls in one turn. Default 10,000.
    pub calls: u64,
    /// Size of the arguments of one call in bytes. Default 16 MiB.
    pub bytes_in: u64,
    /// Size of one answer in bytes. Default 16 MiB.
    pub bytes_out: u64,
}

impl ToolLimits {
    /// Sets [`ToolLimits::time`].
    #[must_use]
    pub fn with_time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Sets [`ToolLimits::calls`].
    #[must_use]
    pub fn with_calls(mut self, calls: u64) -> Self {
        self.calls = calls;
        self
    }

    /// Sets [`ToolLimits::bytes_in`].
    #[must_use]
    pub fn with_bytes_in(mut self, bytes: u64) -> Self {
        self.bytes_in = bytes;
        self
    }

    /// Sets [`ToolLimits::bytes_out`].
    #[must_use]
    pub fn with_bytes_out(mut self, bytes: u64) -> Self {
        self.bytes_out = bytes;
        self
    }
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

/// Failure of a tool, which the code receives as an exception.
///
/// The author of the code reads the message: it should say what happened and what to do, and contain no internals of
/// the host. Therefore there is no conversion from other error types.
///
/// ```
/// use codeact_tools::ToolFailure;
///
/// fn order(count: u32) -> Result<u32, ToolFailure> {
///     match count {
///         0 => Err("order at least one".into()),
///         1..=10 => Ok(count),
///         _ => Err(ToolFailure::denied("orders of more than 10 need a manager")),
///     }
/// }
/// # assert!(order(0).is_err() && order(11).is_err() && order(1).is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolFailure {
    pub(super) kind: FailureKind,
    pub(super) message: String,
}

impl ToolFailure {
    /// Returns the failure of a tool that did not succeed: `ToolError` in Python.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Failed,
            message: message.into(),
        }
    }

    /// Returns the failure of a tool that refuses the call: `ToolDenied` in Python.
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

/// Future of a call.
pub(crate) type CallFuture = Pin<Box<dyn Future<Output = Result<Payload, ToolFailure>> + Send>>;

/// Function of a tool.
#[derive(Clone)]
enum Function {
    /// Receives the arguments as JSON, with bytes as base64 text.
    Json(Arc<dyn Fn(Value) -> CallFuture + Send + Sync>),
    /// Receives the arguments with their bytes.
    Typed(Arc<dyn Fn(Arguments) -> CallFuture + Send + Sync>),
}

/// A function of the host that code in the sandbox can call.
///
/// ```
/// use codeact_tools::{Tool, ToolFailure};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Query {
///     /// Its name in the shop
///     item: String,
/// }
///
/// let price = Tool::new("price", "The price of an item in euros", |query: Query| async move {
///     match &*query.item {
///         "pear" => Ok(1.5),
///         item => Err(ToolFailure::new(format!("there is no {item} in the shop"))),
///     }
/// })?;
/// # Ok::<(), codeact_tools::ToolsError>(())
/// ```
///
/// In Python it is `tools.price(item: str) -> float`.
#[derive(Clone)]
pub struct Tool {
    pub(super) name: String,
    description: String,
    pub(super) limits: ToolLimits,
    pub(super) signature: Signature,
    args: Value,
    result: Option<Value>,
    validator: Arc<Validator>,
    /// Bounds the work of the validator.
    steps: Arc<SchemaSteps>,
    /// True if validation needs the base64 of bytes.
    exact_bytes: bool,
    function: Function,
}

impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tool({})", self.signature.header)
    }
}

impl Tool {
    /// Returns a tool whose argument and result types define its schemas. `A` is a struct with named fields.
    ///
    /// The future of `run` is polled on guest threads and in the runtime of the caller that runs the turn. It must not
    /// block.
    ///
    /// # Errors
    ///
    /// Returns [`ToolsError`] if the arguments have no names, or two have the same name in Python.
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
        let run = move |arguments: Arguments| -> CallFuture {
            // The schema may be less strict than the type, so that valid arguments can still fail here.
            match arguments.read() {
                Ok(args) => {
                    let reply = run(args);
                    Box::pin(async move {
                        // The error could contain internals of the host.
                        bytes::to_payload(&reply.await?)
                            .map_err(|_| ToolFailure::new("the tool's answer is not a JSON value"))
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
        let function = Function::Typed(Arc::new(run));
        Self::from_parts(
            name.into(),
            description.into(),
            args,
            Some(result),
            function,
        )
    }

    /// Returns a tool with JSON Schemas for its arguments and result. Their dialect is 2020-12, or that of `$schema`.
    ///
    /// `run` receives an object that is valid by `args`, with bytes as base64 text. In its result, bytes are objects
    /// `{"$bytes": "BASE64"}`.
    ///
    /// # Errors
    ///
    /// Returns [`ToolsError`] if a schema is invalid, or the arguments are not an object.
    ///
    /// ```
    /// use codeact_tools::Tool;
    /// use serde_json::json;
    ///
    /// let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" } }, "required": ["n"] });
    /// let double = Tool::with_schema("double", "Doubles n", schema, None, |args| async move {
    ///     Ok(json!(args["n"].as_i64().unwrap_or(0) * 2))
    /// })?;
    /// assert_eq!(double.signature(), "double(n: int) -> Any");
    /// # Ok::<(), codeact_tools::ToolsError>(())
    /// ```
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
        Self::from_json_function(name, description, args, result, move |args| {
            let answer = run(args);
            Box::pin(async move { answer.await.map(Payload::new) })
        })
    }

    /// As [`Tool::with_schema`], for functions that return payloads.
    pub(crate) fn from_json_function(
        name: impl Into<String>,
        description: impl Into<String>,
        args: Value,
        result: Option<Value>,
        run: impl Fn(Value) -> CallFuture + Send + Sync + 'static,
    ) -> Result<Self, ToolsError> {
        let function = Function::Json(Arc::new(run));
        Self::from_parts(name.into(), description.into(), args, result, function)
    }

    fn from_parts(
        given: String,
        description: String,
        args: Value,
        result: Option<Value>,
        function: Function,
    ) -> Result<Self, ToolsError> {
        let refused = |why: String| ToolsError::Tool {
            name: given.chars().take(100).collect(),
            why,
        };
        let parts: Vec<_> = given.split('.').map(python::identifier).collect();
        let last = parts.last().map_or("", String::as_str);
        let signature =
            Signature::new(last, &description, &args, result.as_ref()).map_err(refused)?;
        // Bounds the work of compilation.
        let steps = SchemaSteps::new(&args).map_err(refused)?;
        let validator =
            compile(&args).map_err(|e| refused(format!("invalid argument schema: {e}")))?;
        Ok(Self {
            name: parts.join("."),
            description,
            limits: ToolLimits::default(),
            signature,
            exact_bytes: bytes::constrains_text(&args),
            args,
            result,
            validator: Arc::new(validator),
            steps: Arc::new(steps),
            function,
        })
    }

    /// Sets the limits of its calls. Default: [`ToolLimits::default`].
    #[must_use]
    pub fn limits(mut self, limits: ToolLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Returns its name in Python, below `tools`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its description.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Returns the JSON Schema of its arguments.
    pub fn args_schema(&self) -> &Value {
        &self.args
    }

    /// Returns the JSON Schema of its result, if it is known.
    pub fn result_schema(&self) -> Option<&Value> {
        self.result.as_ref()
    }

    /// Returns its signature in Python, e.g. `shop.price(item: str) -> float`.
    pub fn signature(&self) -> String {
        match self.name.rsplit_once('.') {
            Some((namespace, _)) => format!("{namespace}.{}", self.signature.header),
            None => self.signature.header.clone(),
        }
    }

    /// Returns the same tool in a namespace.
    #[cfg(feature = "mcp")]
    pub(super) fn below(mut self, namespace: &str) -> Self {
        self.name = format!("{namespace}.{}", self.name);
        self
    }

    /// Validates the arguments and starts the call.
    pub(super) fn call(&self, payload: Payload) -> Result<CallFuture, ToolFailure> {
        match &self.function {
            Function::Json(run) => {
                let args = payload.into_json();
                self.validate(&args)?;
                Ok(run(args))
            }
            Function::Typed(run) => {
                let args = Arguments::new(payload);
                self.validate(&args.described(self.exact_bytes))?;
                Ok(run(args))
            }
        }
    }

    fn validate(&self, args: &Value) -> Result<(), ToolFailure> {
        let Ok(steps) = self.steps.count(args) else {
            return self.validate_slowly(args);
        };
        if self.validator.is_valid(args) {
            return Ok(());
        }
        Err(ToolFailure {
            kind: FailureKind::Arguments,
            message: self.fault(args, steps).chars().take(MAX_MESSAGE).collect(),
        })
    }

    /// Validates arguments for which the validator could need too many steps.
    fn validate_slowly(&self, args: &Value) -> Result<(), ToolFailure> {
        match schema_memo::is_valid(&self.args, args, &|schema| compile(schema).ok()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(ToolFailure {
                kind: FailureKind::Arguments,
                message: UNEXPLAINED.into(),
            }),
            Err(TooManySteps) => Err(ToolFailure::new(
                "the arguments cannot be checked: the references of the tool's schema multiply to too many steps; \
                 pass smaller arguments, or tell the author of the tool",
            )),
        }
    }

    /// Describes why `args`, whose validation has `steps` steps, do not match the schema.
    fn fault(&self, args: &Value, steps: u64) -> String {
        // The explanation of an error costs a step for each alternative at each level. The check does not.
        if is_deeper(args, MAX_EXPLAINED_DEPTH) || steps > MAX_EXPLAINED_STEPS {
            return UNEXPLAINED.into();
        }
        let Err(e) = self.validator.validate(args) else {
            return "the arguments do not match the schema".into();
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

/// Compiles a schema, which is untrusted: patterns do not backtrack, and references are not fetched.
fn compile(schema: &Value) -> Result<Validator, String> {
    let patterns = PatternOptions::regex()
        .size_limit(MAX_PATTERN_BYTES)
        .dfa_size_limit(MAX_PATTERN_BYTES);
    let options = jsonschema::options().with_pattern_options(patterns);
    options.offline().build(schema).map_err(|e| e.to_string())
}

/// Returns the schema of a type, without references to subschemas.
fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<T>().into()
}
