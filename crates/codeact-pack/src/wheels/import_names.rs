//! Names of modules that differ from the name of their package on the index.

/// Modules, normalised like names of packages, that are no usable package of the index: there is none of that name, or
/// only an empty or abandoned one.
const ONLY_MODULES: [(&str, &str); 22] = [
    ("bs4", "beautifulsoup4"),
    ("crypto", "pycryptodome"),
    ("cv2", "opencv-python"),
    ("dateutil", "python-dateutil"),
    ("dns", "dnspython"),
    ("docx", "python-docx"),
    ("dotenv", "python-dotenv"),
    ("faiss", "faiss-cpu"),
    ("fitz", "pymupdf"),
    ("git", "gitpython"),
    ("magic", "python-magic"),
    ("nacl", "pynacl"),
    ("openssl", "pyopenssl"),
    ("pil", "pillow"),
    ("pptx", "python-pptx"),
    ("skimage", "scikit-image"),
    ("sklearn", "scikit-learn"),
    ("umap", "umap-learn"),
    ("win32api", "pywin32"),
    ("win32com", "pywin32"),
    ("yaml", "pyyaml"),
    ("zmq", "pyzmq"),
];

/// Modules whose name is that of another package of the index.
const ALSO_PACKAGES: [(&str, &str); 17] = [
    ("attr", "attrs"),
    ("barcode", "python-barcode"),
    ("bio", "biopython"),
    ("community", "python-louvain"),
    ("constraint", "python-constraint"),
    ("ffmpeg", "ffmpeg-python"),
    ("jose", "python-jose"),
    ("jwt", "pyjwt"),
    ("kafka", "kafka-python"),
    ("multipart", "python-multipart"),
    ("odf", "odfpy"),
    ("pkg-resources", "setuptools"),
    ("serial", "pyserial"),
    ("slugify", "python-slugify"),
    ("socketio", "python-socketio"),
    ("telegram", "python-telegram-bot"),
    ("websocket", "websocket-client"),
];

/// Returns the package that a user means who requests `name`, which is normalised, if that is only the name of a
/// module: `pil` is `pillow`.
pub(super) fn package_of_module(name: &str) -> Option<&'static str> {
    find(&ONLY_MODULES, name)
}

/// Returns the name of the package on the index that has the module `name`, as far as it is known to differ.
///
/// ```
/// assert_eq!(codeact_pack::package_of_import("yaml"), Some("pyyaml"));
/// assert_eq!(codeact_pack::package_of_import("rich"), None);
/// ```
pub fn package_of_import(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase().replace('_', "-");
    find(&ONLY_MODULES, &name).or_else(|| find(&ALSO_PACKAGES, &name))
}

fn find(modules: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    let found = modules.iter().find(|(module, _)| *module == name);
    found.map(|(_, package)| *package)
}
