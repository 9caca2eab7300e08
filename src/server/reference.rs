//! What is generated for readers: the pages of `docs/`, and the defaults in `--help`. It is read off the code.

use clap::{Arg, Args, Command};
use credsmith_core::metrics::Metrics;
use serde_yaml::Value;

use crate::config::Settings;

/// `docs/configuration.md`.
pub fn configuration() -> String {
    let defaults = serde_yaml::to_value(Settings::defaults()).expect("settings are plain data");
    let command = Settings::augment_args(Command::new("credsmith"));
    let settings: Vec<_> = command.get_arguments().map(|arg| Setting::of(arg, &defaults)).collect();
    let rows: String = settings.iter().map(Setting::row).collect();
    let sections: String = settings.iter().map(Setting::section).collect();
    format!("{CONFIGURATION}\n{rows}\n{sections}")
}

/// `docs/metrics.md`.
pub fn metrics() -> String {
    let catalogue = Metrics::new().catalogue();
    let rows: String = catalogue.iter().map(|(name, help)| format!("| `{name}` | {help} |\n")).collect();
    format!("{METRICS}\n{rows}")
}

/// The command line with the default of each setting in its help. clap itself is not told: a default of its own would
/// stand in the way of the file.
pub fn with_defaults(command: Command) -> Command {
    let defaults = serde_yaml::to_value(Settings::defaults()).expect("settings are plain data");
    let told = command.mut_args(|arg| {
        let default = defaults.get(camel_case(arg.get_id().as_str())).and_then(text);
        match (default, arg.get_long_help().or(arg.get_help()).cloned()) {
            (Some(default), Some(help)) => arg.long_help(format!("{help}\n\n[default: {default}]")),
            _ => arg,
        }
    });
    told.mut_subcommands(with_defaults)
}

/// A setting as each source writes it.
struct Setting {
    /// In the file; `None` where it cannot stand there.
    key: Option<String>,
    flag: String,
    variable: String,
    default: Option<String>,
    help: String,
}

impl Setting {
    fn of(arg: &Arg, defaults: &Value) -> Self {
        let key = camel_case(arg.get_id().as_str());
        let default = defaults.get(&key);
        let help = arg.get_long_help().or(arg.get_help()).expect("every setting has a comment");
        let words = arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect::<Vec<_>>();
        let words = if words.is_empty() { ".".to_owned() } else { format!(": {}.", words.join(" or ")) };
        Self {
            key: default.is_some().then_some(key),
            flag: arg.get_long().expect("every setting has a flag").to_owned(),
            variable: arg.get_env().expect("every setting has a variable").to_string_lossy().into_owned(),
            default: default.and_then(text),
            help: help.to_string().trim_end_matches('.').to_owned() + &words,
        }
    }

    fn row(&self) -> String {
        let code = |text: &Option<String>| text.as_ref().map_or_else(String::new, |text| format!("`{text}`"));
        format!("| {} | `--{}` | `{}` | {} |\n", code(&self.key), self.flag, self.variable, code(&self.default))
    }

    fn section(&self) -> String {
        format!("### {}\n\n{}\n\n", self.key.as_ref().unwrap_or(&self.flag), self.help)
    }
}

fn camel_case(snake: &str) -> String {
    let mut words = snake.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| name + &word[..1].to_ascii_uppercase() + &word[1..])
}

/// `None` for nothing and for an empty list.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Sequence(items) if items.is_empty() => None,
        Value::Sequence(items) => Some(items.iter().filter_map(text).collect::<Vec<_>>().join(",")),
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

const CONFIGURATION: &str = "\
# Configuration

<!-- Generated from src/server/config.rs: change the comments there, then run `make generate`. -->

A setting has one name, written as each source writes names. A flag wins over the environment, the environment over the
file that `--config` names, the file over the default. In a flag and in the environment the items of a list are separated
by commas; in the file, which is YAML, a list may also stand as a list. A name in the file that is not in this table is
refused.

No setting takes a secret: keys and passphrases are files or Kubernetes Secrets, and a setting names them. The settings are
read at the start; the chart restarts the pod when they change.

The Kubernetes API is found as `kubectl` finds it: by `KUBECONFIG`, or in a pod by its ServiceAccount.

| File | Flag | Environment | Default |
|---|---|---|---|";

const METRICS: &str = "\
# Metrics

<!-- Generated from src/core/metrics.rs: change the texts there, then run `make generate`. -->

`GET /metrics` on the plain listener (port 9001) answers in the text format of Prometheus. Labels hold types, routes,
reasons, causes and namespaces: never the path of a credential, a value or a token.

| Name | What it counts |
|---|---|";

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, env, fs, path::Path};

    use super::*;

    #[test]
    fn the_pages_in_docs_say_what_the_code_says() {
        for (name, page) in [("configuration.md", configuration()), ("metrics.md", metrics())] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
            if env::var_os("BLESS").is_some_and(|bless| bless == "1") {
                fs::write(&path, &page).unwrap();
            }
            let written = fs::read_to_string(&path).unwrap_or_default();
            assert!(written == page, "docs/{name} is stale: run `make generate`");
        }
    }

    #[test]
    fn the_help_of_a_setting_says_its_default() {
        let command = with_defaults(Command::new("credsmith").subcommand(Settings::augment_args(Command::new("run"))));
        let run = command.find_subcommand("run").unwrap().clone().render_long_help().to_string();
        for default in ["[default: 0.0.0.0:8844]", "[default: secret:credsmith-root-key]", "[default: json]"] {
            assert!(run.contains(default), "{run}");
        }
    }

    #[test]
    fn a_setting_has_one_name_everywhere() {
        let command = Settings::augment_args(Command::new("credsmith"));
        for arg in command.get_arguments() {
            let id = arg.get_id().as_str();
            assert_eq!(arg.get_long().unwrap(), id.replace('_', "-"));
            let variable = format!("CREDSMITH_{}", id.to_uppercase());
            assert_eq!(arg.get_env().unwrap(), variable.as_str());
            // Kubernetes gives every pod beside a Service `credsmith` these variables.
            let service = ["CREDSMITH_PORT", "CREDSMITH_SERVICE_"];
            assert!(!service.iter().any(|prefix| variable.starts_with(prefix)), "{variable} may mean the Service");
        }
    }

    #[test]
    fn the_values_of_the_chart_are_the_defaults() {
        let values: Value = serde_yaml::from_str(&chart("values.yaml")).unwrap();
        let config: Settings = serde_yaml::from_value(values["config"].clone()).unwrap();
        // The chart sets the first two itself, and the others are only for clusters that need them.
        let unset = Settings { namespace: None, store: None, listen: None, listen_plain: None, ..Settings::defaults() };
        assert_eq!(config, unset);
    }

    #[test]
    fn the_schema_of_the_chart_knows_every_setting() {
        let schema: Value = serde_yaml::from_str(&chart("values.schema.json")).unwrap(); // JSON is YAML
        let keys = |value: &Value| {
            let keys = value.as_mapping().unwrap().keys().map(|key| key.as_str().unwrap().to_owned());
            keys.collect::<BTreeSet<_>>()
        };
        let known = keys(&schema["properties"]["config"]["properties"]);
        let mut settings = keys(&serde_yaml::to_value(Settings::defaults()).unwrap());
        for fixed in ["namespace", "store"] {
            assert!(settings.remove(fixed));
        }
        assert_eq!(known, settings);
    }

    fn chart(file: &str) -> String {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/credsmith").join(file)).unwrap()
    }
}
