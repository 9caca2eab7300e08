//! What `docs/metrics.md` promises is on the page.

use std::fs;

use super::{Place, root};

pub async fn every_documented_metric_is_there_with_a_sane_value(place: &Place) {
    let documented = fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    let names: Vec<_> =
        documented.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name).collect();
    assert!(names.len() >= 11, "{names:?}");
    let (_, page) = place.page("/metrics").await.unwrap();
    for name in names {
        let values: Vec<f64> = page
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.rsplit_once(' '))
            .filter(|(series, _)| is_of(series, name))
            .map(|(_, value)| value.parse().unwrap())
            .collect();
        assert!(
            !values.is_empty(),
            "{name} is not on the page after the exercise: use it there, or take it out\n{page}"
        );
        assert!(values.iter().all(|value| (0.0..1e6).contains(value)), "{name}: {values:?}");
        assert!(values.iter().any(|value| *value > 0.0) || name == NEVER, "{name} counted nothing: {values:?}");
    }
    // Some whose value is known.
    let known = [
        (r#"credsmith_damaged_total{cause="tampered"}"#, 1.0..20.0),
        ("credsmith_panics_total{part=\"look\"}", 0.0..0.5),
        (r#"credsmith_credentials{reason="StoreSealed"}"#, 1.0..1.5),
        (r#"credsmith_credentials{reason="InSync"}"#, 3.0..3.5),
        (r#"credsmith_kubernetes_writes_total{resource="secrets",verb="delete"}"#, 1.0..5.0),
    ];
    for (series, sane) in known {
        let value = place.series(series).await;
        assert!(value.is_some_and(|value| sane.contains(&value)), "{series} is {value:?}\n{page}");
    }
}

/// A histogram has three kinds of series.
fn is_of(series: &str, name: &str) -> bool {
    let name_of = series.split('{').next().unwrap_or_default();
    [name.to_owned(), format!("{name}_count"), format!("{name}_sum")].iter().any(|one| one == name_of)
}

/// A fault of the program.
const NEVER: &str = "credsmith_panics_total";
