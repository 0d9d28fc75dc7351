//! Prometheus' classic text format (0.0.4), for whoever does not ask for OpenMetrics.
//!
//! Made from the OpenMetrics page, so that both say the same: the classic format names a counter's family with its
//! suffix, knows no `info` type, no unit and no end mark.

/// The page in the classic format.
pub(super) fn of_open_metrics(page: &str) -> String {
    let mut classic = String::with_capacity(page.len());
    let mut help: Option<(&str, &str)> = None;
    for line in page.lines() {
        if let Some(text) = line.strip_prefix("# HELP ") {
            // It waits for the type, which the name depends on.
            help = text.split_once(' ');
        } else if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|text| text.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            if let Some((_, text)) = help.take() {
                push(&mut classic, &["# HELP ", name, suffix, " ", text]);
            }
            push(&mut classic, &["# TYPE ", name, suffix, " ", kind]);
        } else if !line.starts_with('#') {
            push(&mut classic, &[line]);
        }
    }
    classic
}

fn push(to: &mut String, parts: &[&str]) {
    for part in parts {
        to.push_str(part);
    }
    to.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_named_as_the_classic_format_wants() {
        let page = "# HELP a_records Records.\n# TYPE a_records counter\na_records_total{x=\"# TYPE y z\"} 5\n\
                    # HELP b Level.\n# TYPE b gauge\nb 1.5\n# HELP c Who.\n# TYPE c info\nc_info{v=\"1\"} 1\n# EOF\n";
        let classic = "# HELP a_records_total Records.\n# TYPE a_records_total counter\n\
                       a_records_total{x=\"# TYPE y z\"} 5\n# HELP b Level.\n# TYPE b gauge\nb 1.5\n\
                       # HELP c_info Who.\n# TYPE c_info gauge\nc_info{v=\"1\"} 1\n";
        assert_eq!(of_open_metrics(page), classic);
    }
}
