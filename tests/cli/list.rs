use std::io::{self, Seek};

use clusterctl::cli::Ui;
use clusterctl::error::exit;

use crate::stage::{SHOP, Stage};

#[test]
fn shows_every_instance() {
    let stage = Stage::applied(SHOP);
    assert_eq!(stage.said(&["stop", "shop"]).0, exit::OK);
    stage.run(&["list"], exit::OK);
    stage.manager().set("shop@1.service", "failed");
    stage.run(&["list", "shop@1"], exit::OK);
    stage.run(&["list", "-o", "json"], exit::OK);
    stage.run(&["list", "--sort", "status:desc", "-m"], exit::OK);
    stage.run(&["list", "/^sh/", "--now"], exit::OK);
    stage.run(&["list", "--watch", "--times", "1", "-s"], exit::OK);
    stage.run(&["list", "--times", "1"], exit::USAGE);
    stage.run(&["list", "-o", "list.txt"], exit::USAGE);
    stage.expect("list");
}

#[test]
fn refuses() {
    let stage = Stage::applied(SHOP);
    stage.run(&["list", "nobody"], exit::UNKNOWN);
    let stage = stage.without_bus();
    stage.run(&["list"], exit::MANAGER); // no bus
    stage.expect("list-refused");
}

#[test]
fn says_what_to_do_where_there_is_no_app() {
    let stage = Stage::new();
    stage.run(&["list"], exit::OK);
    stage.expect("list-empty");
}

#[test]
fn what_stands_below_the_table_is_no_wider_than_the_terminal() {
    let text = "warning: shop: no client reaches /run/shop/admin.sock: its path is gone or leads to another socket; \
                next: clusterctl doctor shop";
    for width in [60, 80, 200] {
        let mut sheet = tempfile::tempfile().unwrap();
        let mut ui = Ui::over(Box::new(io::sink()), Box::new(sheet.try_clone().unwrap()));
        ui.err.boxes = true;
        ui.err.width = width;
        ui.below(text);
        sheet.rewind().unwrap();
        let said = io::read_to_string(sheet).unwrap();
        assert!(said.lines().all(|line| line.chars().count() <= width), "{width}: {said}");
        assert_eq!(said.split_whitespace().collect::<Vec<_>>().join(" "), text);
        assert_eq!(said.lines().count() > 1, width < text.len(), "{said}");
    }
}
