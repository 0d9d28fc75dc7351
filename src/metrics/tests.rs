use super::*;

#[test]
fn a_connectors_series_appear_with_its_task_and_go_with_it() {
    let metrics = Metrics::default();
    let task = metrics.task("shop.source", 0);
    task.records_in.inc_by(5);
    task.commit_seconds.observe(0.003);
    task.error("fatal");
    task.state("RUNNING");
    let page = metrics.render();
    for line in [
        "tapline_records_in_total{connector=\"shop.source\",task=\"0\"} 5",
        "tapline_errors_total{connector=\"shop.source\",task=\"0\",class=\"fatal\"} 1",
        "tapline_errors_total{connector=\"shop.source\",task=\"0\",class=\"config\"} 0",
        "tapline_task_state{connector=\"shop.source\",task=\"0\",state=\"RUNNING\"} 1",
        "tapline_commit_seconds_count{connector=\"shop.source\",task=\"0\"} 1",
    ] {
        assert!(page.contains(line), "{line} is missing in\n{page}");
    }
    metrics.forget("shop.source");
    let page = metrics.render();
    assert!(!page.contains("shop.source"), "{page}");
}

#[test]
fn levels_are_refreshed_before_every_page() {
    let metrics = Metrics::default();
    let lag = metrics.task("s", 0).lag_records;
    let moved = lag.clone();
    metrics.before_render(move || {
        moved.inc();
    });
    assert!(
        metrics
            .render()
            .contains("lag_records{connector=\"s\",task=\"0\"} 1")
    );
    assert!(
        metrics
            .render()
            .contains("lag_records{connector=\"s\",task=\"0\"} 2")
    );
}
