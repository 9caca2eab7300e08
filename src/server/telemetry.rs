//! The log: one line an event, on stderr.

use std::{
    any::Any,
    io::{self, IsTerminal, Write},
    panic::{self, PanicHookInfo},
};

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{Config, LogFormat};

/// Starts the log. Once in a process.
pub fn start(config: &Config) {
    let registry = tracing_subscriber::registry().with(filter(&config.log));
    let lines = fmt::layer().with_writer(io::stderr);
    match config.log_format {
        LogFormat::Json => registry.with(lines.json().flatten_event(true).with_span_list(false)).init(),
        LogFormat::Text => registry.with(lines.with_ansi(io::stderr().is_terminal())).init(),
    }
}

/// Makes a panic one line that says where. What it says is left out unless it was written in the source word by word: a
/// text that was put together may hold a value.
pub fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let line = describe(info);
        if tracing::dispatcher::has_been_set() {
            tracing::error!("{line}");
        } else {
            let _ = writeln!(io::stderr(), "{line}"); // nowhere else to tell it
        }
    }));
}

fn filter(directives: &str) -> EnvFilter {
    // The client logs whole answers that it cannot read, Secrets and tokens included. It returns them as errors anyway.
    let quiet = "kube_client::client=off".parse().expect("a directive");
    // It warns at every try of a watch that is refused; the operator tells that once, with what to do.
    let once = "kube_runtime::watcher=error".parse().expect("a directive");
    EnvFilter::new(directives).add_directive(quiet).add_directive(once)
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    format!("panic at {place}: {}", said(info.payload()))
}

fn said(payload: &dyn Any) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or("its text is left out, it may hold a value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_text_from_the_source_is_told() {
        assert_eq!(said(&"it has a default"), "it has a default");
        let value = "hunter2".to_owned();
        assert_eq!(said(&value), "its text is left out, it may hold a value");
        assert_eq!(said(&7), "its text is left out, it may hold a value");
    }

    #[test]
    fn whole_answers_of_the_api_server_are_not_logged() {
        for directives in ["trace", "kube_client=trace", "kube_client::client=trace"] {
            let filter = filter(directives).to_string();
            let quiet = filter.split(',').filter(|directive| directive.starts_with("kube_client::client="));
            assert_eq!(quiet.collect::<Vec<_>>(), ["kube_client::client=off"], "{filter}");
        }
    }
}
