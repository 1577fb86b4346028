// Weighted shuffle in Rust, without a crate; reproducible from call.seed.
use portolan::*;
use std::ffi::c_void;
use std::mem::size_of;

const TEXT: &str = r#"{"id":"acme.weighted","version":"1.0.0","components":{"weighted":{"kind":"portolan.policy/1","title":"Weighted","config":{"type":"object"}}}}"#;
#[link_section = ".portolan.manifest"]
#[used]
static MANIFEST: [u8; TEXT.len()] = *TEXT.as_bytes().first_chunk().unwrap();

fn shuffle(call: &Call, snapshot: &Snapshot, out: &Ranking) {
    let total: f64 = snapshot.candidates().map(|c| c.weight.max(1) as f64).sum();
    let mut x = call.seed | 1;
    let mut keyed: Vec<(f64, usize, f64)> = snapshot
        .candidates()
        .enumerate()
        .map(|(i, c)| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            let weight = c.weight.max(1) as f64;
            let u = ((x >> 11) as f64 + 1.0) / 9007199254740993.0;
            (u.powf(1.0 / weight), i, weight / total)
        })
        .collect();
    keyed.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (score, index, propensity) in keyed {
        let pick = Pick { struct_size: size_of::<Pick>() as u32, flags: 0, index, score, propensity, reason: s("weighted shuffle"), note: s("") };
        (out.pick)(call.id, &pick);
    }
}

extern "C" fn decide(_: *mut c_void, call: *const Call, snapshot: *const Snapshot, out: *const Ranking) -> i32 {
    let (call, snapshot, out) = unsafe { (&*call, &*snapshot, &*out) };
    guard(call, || {
        shuffle(call, snapshot, out);
        OK
    })
}
static POLICY_TABLE: Policy = Policy { struct_size: size_of::<Policy>() as u32, flags: 0, decide, learn: None, restore: None };

extern "C" fn find(_: Str, face: Str) -> *const c_void {
    if unsafe { face.bytes() } == POLICY { &POLICY_TABLE as *const _ as *const c_void } else { std::ptr::null() }
}
extern "C" fn create(_: *const Call, _: Str, _: Str, me: *mut *mut c_void) -> i32 {
    unsafe { *me = std::ptr::null_mut() };
    OK
}
extern "C" fn destroy(_: Str, _: *mut c_void) {}

static PLUGIN: Plugin =
    Plugin { struct_size: size_of::<Plugin>() as u32, draft: DRAFT, manifest: Str { data: MANIFEST.as_ptr(), size: TEXT.len() }, find, create, destroy };
#[no_mangle]
pub extern "C" fn portolan_plugin_v1() -> *const Plugin {
    &PLUGIN
}
