//! stub
use super::script::Directory;
use crate::formats::tai64n::Tai64n;
use std::fs::File;
/// K
pub struct Keeper;
impl Keeper {
    /// n
    pub fn new(_s: &Directory) -> Keeper { Keeper }
    /// f
    pub fn finished(&mut self, _m: Tai64n, _b: u64) {}
    /// c
    pub fn check(&mut self, _d: &File) {}
    /// m
    pub fn make_room(&mut self, _d: &File) -> bool { false }
}
