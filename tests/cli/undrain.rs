use clusterctl::error::exit;

use crate::door::{pid, shop};
use crate::stage::Stage;

#[test]
fn refuses() {
    let stage = Stage::applied(&shop());
    stage.run(&["undrain"], exit::USAGE);
    stage.run(&["undrain", "nobody"], exit::UNKNOWN);
    stage.run(&["undrain", "shop"], exit::FAILED); // no process
    stage.manager().pids = [("shop@1.service".to_owned(), pid())].into();
    stage.run(&["undrain", "shop@1"], exit::FAILED);
    stage.expect("undrain-refused");
}
