use super::*;
fn _x() {}
