//! The tests' own servers do what tests rely on.

use crate::support::postgres::Postgres;

#[tokio::test]
async fn a_private_server_answers_and_survives_a_crash() {
    let mut server = Postgres::start().await;
    server
        .execute("create table t (id int, name text); insert into t values (1, null)")
        .await;
    assert_eq!(server.rows("select * from t").await, ["1|∅"]);
    server.kill();
    server.restart().await;
    assert_eq!(server.rows("select count(*) from t").await, ["1"]);
}
