//! The environment of the guest, as environment markers see it.

/// Values of the marker variables (PEP 508) in the sandbox.
#[derive(Debug, Clone)]
pub(in crate::wheels) struct Environment {
    python_version: String,
    python_full_version: String,
}

impl Environment {
    /// Returns the environment of a guest with the Python version `full`, such as `3.15.0`.
    pub(in crate::wheels) fn new(full: &str) -> Self {
        let numbers: Vec<_> = full.split('.').take(2).collect();
        Self {
            python_version: numbers.join("."),
            python_full_version: full.to_owned(),
        }
    }

    /// Returns the value of the variable `name`, or `None` if there is no such variable. `extra` is not a variable of
    /// the environment.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        // The names with dots are from the time before PEP 508.
        Some(match name {
            "python_version" => &self.python_version,
            "python_full_version" | "implementation_version" => &self.python_full_version,
            "os_name" | "os.name" => "posix",
            "sys_platform" | "sys.platform" => "wasi",
            "platform_system" => "wasi",
            "platform_machine" | "platform.machine" => "wasm32",
            "platform_release" | "platform_version" | "platform.version" => "0.0.0",
            "implementation_name" => "cpython",
            "platform_python_implementation"
            | "platform.python_implementation"
            | "python_implementation" => "CPython",
            _ => return None,
        })
    }
}
