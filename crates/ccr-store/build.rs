//! A new migration file must rebuild the crate, which embeds them.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
