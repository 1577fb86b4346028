// A policy. decide() is a pure function: an equal snapshot, seed and configuration give an equal order.
use portolan::*;
use std::ffi::c_void;
use std::mem::size_of;

const TEXT: &str = r#"{"id":"my.@COMPONENT@","version":"0.1.0","components":{"@COMPONENT@":{
  "kind":"portolan.policy/1","title":"@CLASS@","config":{"type":"object","properties":{}}}}}"#;
#[link_section = ".portolan.manifest"]
#[used]
static MANIFEST: [u8; TEXT.len()] = *TEXT.as_bytes().first_chunk().unwrap();

fn rank(call: &Call, snapshot: &Snapshot, out: &Ranking) {
    for (well, reason) in [(true, "healthy"), (false, "a last resort")] {
        for (index, c) in snapshot.candidates().enumerate() {
            if (c.flags & (CAND_COOLING | CAND_OVER_LIMIT) == 0) == well {
                let pick = Pick { struct_size: size_of::<Pick>() as u32, flags: 0, index, score: f64::from(u8::from(well)), propensity: f64::NAN, reason: s(reason), note: s("") };
                (out.pick)(call.id, &pick);
            }
        }
    }
}

extern "C" fn decide(_: *mut c_void, call: *const Call, snapshot: *const Snapshot, out: *const Ranking) -> i32 {
    let (call, snapshot, out) = unsafe { (&*call, &*snapshot, &*out) };
    guard(call, || {
        rank(call, snapshot, out);
        OK
    })
}
static TABLE: Policy = Policy { struct_size: size_of::<Policy>() as u32, flags: 0, decide, learn: None, restore: None };

extern "C" fn find(_: Str, face: Str) -> *const c_void {
    if unsafe { face.bytes() } == POLICY { &TABLE as *const _ as *const c_void } else { std::ptr::null() }
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
