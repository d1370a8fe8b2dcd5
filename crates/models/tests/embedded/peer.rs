//! A worker that does what its "weights" say: that file holds the word for how to behave.

use std::io::{BufReader, Write as _, stdin, stdout};
use std::process::ExitCode;
use std::time::Duration;

use models::protocol::{
    Done, FromWorker, GenerateRequest, HEARTBEAT, PROTOCOL, Piece, Ready, Started, Timing, ToWorker,
    WorkerFinish,
};
use serde_json::json;

pub(crate) fn main(args: Vec<String>) -> ExitCode {
    let manner = std::fs::read_to_string(&args[1]).unwrap();
    if manner == "dies loading" {
        eprintln!("there is no room\nfor this model");
        return ExitCode::from(3);
    }
    std::thread::spawn(|| {
        loop {
            say(&FromWorker::Alive);
            std::thread::sleep(HEARTBEAT);
        }
    });
    say(&FromWorker::Ready(Ready {
        protocol: PROTOCOL,
        version: String::from("0.0.0"),
        architecture: String::from("none"),
        context_tokens: 100,
        parameters: 0,
        threads: 1,
    }));
    if manner == "does not listen" {
        rest();
    }
    let mut input = BufReader::new(stdin());
    while let Some(told) = ToWorker::read(&mut input).unwrap() {
        match told {
            ToWorker::Generate(request) => answer(&manner, &request, &args),
            ToWorker::Cancel { id } => done(id, WorkerFinish::Cancelled, 1),
        }
    }
    if manner == "stays" {
        rest();
    }
    ExitCode::SUCCESS
}

fn answer(manner: &str, request: &GenerateRequest, args: &[String]) {
    let id = request.id;
    say(&FromWorker::Started(Started { id, tokens_in: 5 }));
    match manner {
        "crashes" => {
            piece(id, "{");
            eprintln!("a secret prompt");
            std::process::exit(101);
        }
        "stops itself" => {
            piece(id, "{");
            let this = rustix::process::getpid();
            rustix::process::kill_process(this, rustix::process::Signal::STOP).unwrap();
        }
        // Its pid is all that it says until it is told to stop.
        "works on" => piece(id, &format!("{{\"pid\":{}}}", std::process::id())),
        _ => {
            let environment: Vec<(String, String)> = std::env::vars().collect();
            let told = json!({"pid": std::process::id(), "args": args, "environment": environment});
            piece(id, &told.to_string());
            done(id, WorkerFinish::Stop, 1);
        }
    }
}

fn piece(id: u64, text: &str) {
    say(&FromWorker::Piece(Piece { id, text: text.to_owned(), tokens: 1 }));
}

fn done(id: u64, finish: WorkerFinish, tokens_out: u64) {
    say(&FromWorker::Done(Done { id, finish, tokens_out, timing: Timing::default() }));
}

fn say(message: &FromWorker) {
    let mut line = Vec::new();
    message.write(&mut line).unwrap();
    // In one piece, so that no heartbeat comes between. Nobody listens any more: then this process is done.
    if stdout().lock().write_all(&line).is_err() {
        std::process::exit(0);
    }
}

fn rest() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}
