//! The folders of a store: their paths, permissions and removal.

use std::ffi::OsString;
use std::fs;
use std::time::Duration;

use super::{Tiny, names_in};
use crate::lock::Lock;
use crate::{Dirs, PackError};

#[test]
fn codeact_home_contains_both_folders() {
    let home = tempfile::tempdir().unwrap();
    let value: OsString = home.path().into();
    let env = |name: &str| (name == "CODEACT_HOME").then(|| value.clone());
    let dirs = Dirs::from_env(&env).unwrap();
    assert_eq!(dirs.data, home.path());
    assert_eq!(dirs.cache, home.path().join("cache"));
    let relative = |name: &str| (name == "CODEACT_HOME").then(|| "here".into());
    assert!(Dirs::from_env(&relative).unwrap().data.is_absolute());
}

#[test]
fn removal_deletes_the_pack_and_its_compiled_code() {
    let home = Tiny::default().home();
    let store = home.store();
    assert_eq!(store.remove_folders("tiny").unwrap(), 0);
    store.ensure(&home.manifest, &home.wheel_options()).unwrap();
    let cache = store.prepare_cache(&home.manifest).unwrap();
    fs::write(cache.join("module.cwasm"), b"12345").unwrap();
    fs::create_dir(home.path("data/packs/tinyother-1-x")).unwrap();
    fs::create_dir(home.path("data/packs/tiny-0.0.9-12345678")).unwrap();
    let before = store.status(&home.manifest).unwrap();
    assert!(before.installed && before.pack_bytes > 3_000_000);
    assert_eq!(before.cache_bytes, 5);

    let freed = store.remove_folders("tiny").unwrap();

    assert_eq!(freed, before.pack_bytes + before.cache_bytes);
    assert_eq!(home.packs(), ["tinyother-1-x"]);
    assert!(names_in(&home.path("cache/packs")).is_empty());
    let after = store.status(&home.manifest).unwrap();
    assert!(!after.installed);
    assert_eq!((after.pack_bytes, after.cache_bytes), (0, 0));
    store.ensure(&home.manifest, &home.wheel_options()).unwrap();
}

#[test]
fn a_pack_of_unknown_name_cannot_be_removed() {
    let home = Tiny::default().home();
    let error = home.store().remove("nothing").unwrap_err();
    assert!(matches!(error, PackError::UnknownPack { .. }));
    assert!(error.to_string().contains("known packs: science"));
}

#[test]
fn listing_an_empty_home_creates_nothing() {
    let home = Tiny::default().home();
    let list = home.store().list().unwrap();
    assert_eq!(list[0].name, "science");
    assert!(!list[0].installed && list[0].pack_bytes == 0);
    assert!(list[0].packages.python.contains_key("numpy"));
    assert!(!home.path("data").exists());
}

#[test]
fn a_held_lock_is_an_error_and_a_dropped_one_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    let held = Lock::acquire(&path, || {}).unwrap();
    let error = Lock::acquire_within(&path, Duration::ZERO, || {}).unwrap_err();
    assert!(matches!(error, PackError::Locked { .. }), "{error}");
    drop(held);
    Lock::acquire_within(&path, Duration::ZERO, || {}).unwrap();
}

#[cfg(unix)]
mod permissions {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &std::path::Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn set_mode(path: &std::path::Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn folders_are_created_private() {
        let home = Tiny::default().home();
        let store = home.store();
        let pack = store.ensure(&home.manifest, &home.wheel_options()).unwrap();
        let cache = store.prepare_cache(&home.manifest).unwrap();
        assert_eq!(cache, store.cache_dir(&home.manifest));
        let fonts = pack.root.join("mpl-data/fonts");
        for folder in [
            pack.root,
            fonts,
            cache,
            home.path("data"),
            home.path("cache"),
        ] {
            assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        }
    }

    #[test]
    fn a_cache_that_others_can_write_is_rejected() {
        let home = Tiny::default().home();
        let store = home.store();
        let cache = store.prepare_cache(&home.manifest).unwrap();
        for (folder, open) in [
            (&cache, 0o770),
            (&cache, 0o702),
            (&home.path("cache"), 0o777),
        ] {
            set_mode(folder, open);
            let error = store.prepare_cache(&home.manifest).unwrap_err();
            assert!(matches!(error, PackError::UnsafeFolder { .. }), "{error}");
            assert!(
                error.to_string().contains(&format!("mode {open:04o}")),
                "{error}"
            );
            set_mode(folder, 0o755);
            store.prepare_cache(&home.manifest).unwrap();
        }
    }

    #[test]
    fn a_linked_cache_is_checked_at_its_target() {
        let home = Tiny::default().home();
        let open = home.path("open");
        fs::create_dir_all(open.join("inner")).unwrap();
        set_mode(&open, 0o777);
        symlink(open.join("inner"), home.path("cache")).unwrap();
        let error = home.store().prepare_cache(&home.manifest).unwrap_err();
        assert!(
            error.to_string().contains("all users can write to it"),
            "{error}"
        );
    }
}
