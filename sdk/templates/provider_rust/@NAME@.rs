// A provider for an upstream that speaks OpenAI: the client's request goes out with one member changed, chunks and results are handed to
// the host as they come.
use portolan::*;
use std::ffi::c_void;
use std::mem::size_of;

const TEXT: &str = r#"{"id":"my.@COMPONENT@","version":"0.1.0","components":{"@COMPONENT@":{
  "kind":"portolan.provider/1","title":"@CLASS@","streams":true,"ops":{"chat":{"translates":["openai"]}},
  "auth":{"key":{"scheme":"bearer"}},
  "config":{"type":"object","required":["base_url"],"properties":{"base_url":{"type":"string","format":"uri"}}}}}}"#;
#[link_section = ".portolan.manifest"]
#[used]
static MANIFEST: [u8; TEXT.len()] = *TEXT.as_bytes().first_chunk().unwrap();

/// One attempt at one request.
struct Exchange {
    done: bool,
}

extern "C" fn open(_: *mut c_void, call: *const Call, _: *const Request, exchange: *mut *mut c_void) -> i32 {
    guard(unsafe { &*call }, || {
        unsafe { *exchange = Box::into_raw(Box::new(Exchange { done: false })) as *mut c_void };
        OK
    })
}

extern "C" fn request(_: *mut c_void, call: *const Call, request: *const Request, out: *const Http) -> i32 {
    let (call, request, out) = unsafe { (&*call, &*request, &*out) };
    guard(call, || {
        let model = String::from_utf8_lossy(unsafe { request.model.bytes() });
        if model.contains(['"', '\\']) {
            return fail(call, E_INVALID, "the model's name holds characters that it may not");
        }
        let quoted = format!("\"{model}\"");
        (out.line)(call.id, s("POST"), s(""), s("/chat/completions"));
        (out.auth)(call.id, s("key"));
        (out.edit)(call.id, s("/model"), borrowed(&quoted));
        OK
    })
}

extern "C" fn frame(exchange: *mut c_void, call: *const Call, frame: *const Frame, out: *const Events) -> i32 {
    let (x, call, frame, out) = unsafe { (&mut *(exchange as *mut Exchange), &*call, &*frame, &*out) };
    guard(call, || {
        let whole = frame.kind == FRAME_WHOLE;
        let end = !whole && unsafe { frame.data.bytes() } == b"[DONE]";
        x.done |= whole || end;
        if end {
            return OK;
        }
        let event = Event { data: frame.data, ..Event::of(if whole { EV_RESULT } else { EV_CHUNK }) };
        (out.emit)(call.id, &event) // refused: the client is gone
    })
}

extern "C" fn end(exchange: *mut c_void, call: *const Call, _: *const Events) -> i32 {
    let (x, call) = unsafe { (&*(exchange as *mut Exchange), &*call) };
    if x.done { OK } else { fail(call, E_UPSTREAM, "the stream broke off") }
}

extern "C" fn close(exchange: *mut c_void) {
    drop(unsafe { Box::from_raw(exchange as *mut Exchange) });
}
static TABLE: Provider = Provider { struct_size: size_of::<Provider>() as u32, flags: 0, open, request, frame, end, close, classify: None };

extern "C" fn find(_: Str, face: Str) -> *const c_void {
    if unsafe { face.bytes() } == PROVIDER { &TABLE as *const _ as *const c_void } else { std::ptr::null() }
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
