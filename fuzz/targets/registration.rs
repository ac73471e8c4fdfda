//! The registration of a hook: any text gives one, or an error that names a line and can be printed. What is
//! accepted is within its bounds, and can be asked about any change.
#![no_main]

use std::path::Component;

use epcache::change::{Change, Event};
use epcache::hook::Registration;
use epcache::hook::registration::{Action, Write};
use epcache_fuzz::{text, within};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = text(bytes);
    match within(4000 * text.len() + (64 << 10), || Registration::parse("name", text)) {
        Ok(registration) => {
            let sandbox = &registration.sandbox;
            let written = sandbox.write.iter().filter_map(|write| match write {
                Write::Directory(path) | Write::Site(path) => Some(path),
                Write::Cache => None,
            });
            for path in sandbox.read.iter().chain(written) {
                assert!(path.components().all(|part| part != Component::ParentDir), "{path:?}");
            }
            if let Action::Command(command) = &registration.action {
                assert!(
                    !command.is_empty() && command.iter().all(|text| !text.contains('\0')),
                    "{command:?}"
                );
            }
            assert!((1..=3600).contains(&registration.timeout.as_secs()));
            assert!(registration.description.len() <= 200);
            let change = Change {
                event: Event::Added,
                distribution: text.to_owned(),
                old_version: None,
                version: None,
                site: "/site".into(),
                gained: vec![text.to_owned()],
                lost: Vec::new(),
                changed: Vec::new(),
                opaque: false,
            };
            registration.matches(&change);
            registration.needs_environment();
        }
        Err(mistake) => {
            let line = mistake.line;
            assert!(
                line.is_none_or(|line| line > 0 && line <= text.split('\n').count()),
                "{line:?}: {text:?}"
            );
            let why = mistake.why;
            assert!(!why.is_empty() && !why.contains(|c: char| c.is_control()), "{why:?}");
        }
    }
});
