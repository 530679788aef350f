//! Requirements in scripts and files.

use crate::tests::Tiny;
use crate::{PackError, Requirement};

fn of_script(text: &str) -> Result<Vec<String>, PackError> {
    let manifest = Tiny::default().home().manifest;
    let wanted = Requirement::of_script(text, &manifest)?;
    Ok(wanted.iter().map(ToString::to_string).collect())
}

fn of_file(text: &str) -> Result<Vec<String>, PackError> {
    let manifest = Tiny::default().home().manifest;
    let wanted = Requirement::of_file(text, &manifest)?;
    Ok(wanted.iter().map(ToString::to_string).collect())
}

#[test]
fn script_metadata_is_read() {
    let script = "#!/usr/bin/env python3\n# /// script\n# requires-python = \">=3.11\"\n# dependencies = [\n\
                  #   \"Rich>=13\", # a comment\n#\n#   \"tomli; python_version < '3.11'\",\n# ]\n\
                  # [tool.uv]\n# x = 1\n# ///\nimport rich\n";
    assert_eq!(of_script(script).unwrap(), ["rich>=13"]);
    assert_eq!(
        of_script(&script.replace('\n', "\r\n")).unwrap(),
        ["rich>=13"]
    );
    for none in [
        "",
        "import rich",
        "x = '# /// script'",
        "# /// other\n# a = 1\n# ///\n",
    ] {
        assert!(of_script(none).unwrap().is_empty(), "{none}");
    }
}

#[test]
fn invalid_script_metadata_is_an_error() {
    let block = |text: &str| format!("# /// script\n{text}\n# ///\n");
    let error = of_script(&block("# requires-python = \"<3.9\"")).unwrap_err();
    assert!(
        error.to_string().contains("requires Python <3.9"),
        "{error}"
    );
    for odd in [
        "# x = ",
        "# dependencies = 1",
        "# requires-python = \"x\"",
        "# a\n# a",
    ] {
        let error = of_script(&block(odd)).unwrap_err();
        assert!(
            matches!(error, PackError::BadScript { .. }),
            "{odd}: {error}"
        );
    }
    of_script("# /// script\n# dependencies = []\n").unwrap_err();
    of_script(&block("#").repeat(2)).unwrap_err();
    for odd in [
        "x @ https://x",
        "--pre",
        "./x",
        "x @ https://x ; os_name == 'posix'",
    ] {
        let error = of_script(&block(&format!("# dependencies = [\"{odd}\"]"))).unwrap_err();
        assert!(
            matches!(error, PackError::BadRequirement { .. }),
            "{odd}: {error}"
        );
    }
}

#[test]
fn a_requirements_file_is_read() {
    let text = "# pinned\nrich==14.0.0  # tables\n\nHttpx[http2] >=0.27, \\\n  <1\ntomli; python_version < '3.11'\n\
                colorama ; os_name == 'posix'\n";
    assert_eq!(
        of_file(text).unwrap(),
        ["rich==14.0.0", "httpx[http2]<1,>=0.27", "colorama"]
    );
}

#[test]
fn attack_a_requirements_file_has_no_options_addresses_or_paths() {
    for odd in [
        "-r other.txt",
        "-e .",
        "--index-url https://x",
        "x --hash=sha256:00",
        "x==1 --config-settings=a",
        "x @ https://x",
        "https://x/y.whl",
        "./x",
        "/x",
        "x; nonsense == 'y'",
    ] {
        let error = of_file(&format!("rich\n{odd}\n")).unwrap_err();
        assert!(
            matches!(error, PackError::BadRequirement { .. }),
            "{odd}: {error}"
        );
    }
}
