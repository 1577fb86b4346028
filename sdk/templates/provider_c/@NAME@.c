/* A provider for an upstream that speaks OpenAI: the client's request goes out with one member changed, chunks and results are handed
 * to the host as they come. */
#include <portolan/abi.h>
#include <stdlib.h>
#include <string.h>

#define S(lit) ((portolan_str){lit, sizeof(lit) - 1})
static const char manifest[] __attribute__((section(".portolan.manifest"), used)) =
    "{\"id\":\"my.@COMPONENT@\",\"version\":\"0.1.0\",\"components\":{\"@COMPONENT@\":{"
    "\"kind\":\"portolan.provider/1\",\"title\":\"@CLASS@\",\"streams\":true,\"ops\":{\"chat\":{\"translates\":[\"openai\"]}},"
    "\"auth\":{\"key\":{\"scheme\":\"bearer\"}},"
    "\"config\":{\"type\":\"object\",\"required\":[\"base_url\"],\"properties\":{\"base_url\":{\"type\":\"string\",\"format\":\"uri\"}}}}}}";

struct exchange { /* one attempt at one request */
    int done;
};

static portolan_status failed(const portolan_call* c, portolan_status status, portolan_str why)
{
    c->host->fail(c->id, why);
    return status;
}

static portolan_status open_exchange(void* self, const portolan_call* c, const portolan_request* r, void** exchange)
{
    (void)self, (void)r;
    *exchange = calloc(1, sizeof(struct exchange));
    return *exchange ? PORTOLAN_OK : failed(c, PORTOLAN_E_INTERNAL, S("out of memory"));
}

static portolan_status request(void* exchange, const portolan_call* c, const portolan_request* r, const portolan_http* out)
{
    char quoted[258] = "\"";
    (void)exchange;
    if (r->model.size > 256 || (r->model.size && (memchr(r->model.data, '"', r->model.size) || memchr(r->model.data, '\\', r->model.size))))
        return failed(c, PORTOLAN_E_INVALID, S("the model's name holds characters that it may not"));
    if (r->model.size) memcpy(quoted + 1, r->model.data, r->model.size);
    quoted[r->model.size + 1] = '"';
    out->line(c->id, S("POST"), S(""), S("/chat/completions"));
    out->auth(c->id, S("key"));
    out->edit(c->id, S("/model"), (portolan_str){quoted, r->model.size + 2});
    return PORTOLAN_OK;
}

static portolan_status frame(void* exchange, const portolan_call* c, const portolan_frame* f, const portolan_events* out)
{
    struct exchange* x = exchange;
    const int whole = f->kind == PORTOLAN_FRAME_WHOLE;
    const portolan_event ev = {.struct_size = sizeof ev, .kind = whole ? PORTOLAN_EV_RESULT : PORTOLAN_EV_CHUNK, .data = f->data};
    const int end = !whole && f->data.size == 6 && !memcmp(f->data.data, "[DONE]", 6);
    x->done |= whole || end;
    return end ? PORTOLAN_OK : out->emit(c->id, &ev); /* refused: the client is gone */
}

static portolan_status end(void* exchange, const portolan_call* c, const portolan_events* out)
{
    (void)out;
    return ((struct exchange*)exchange)->done ? PORTOLAN_OK : failed(c, PORTOLAN_E_UPSTREAM, S("the stream broke off"));
}

static void close_exchange(void* exchange) { free(exchange); }

static const portolan_provider provider = {sizeof provider, 0, open_exchange, request, frame, end, close_exchange, NULL};

static const void* find(portolan_str component, portolan_str face)
{
    (void)component; /* there is only one */
    return face.size == sizeof(PORTOLAN_PROVIDER) - 1 && !memcmp(face.data, PORTOLAN_PROVIDER, face.size) ? &provider : NULL;
}

static portolan_status create(const portolan_call* c, portolan_str component, portolan_str config, void** self)
{
    (void)c, (void)component, (void)config; /* the host uses base_url; nothing is kept here */
    *self = NULL;
    return PORTOLAN_OK;
}

static void destroy(portolan_str component, void* self) { (void)component, (void)self; }

const portolan_plugin* PORTOLAN_ENTRY(void)
{
    static const portolan_plugin p = {sizeof p, PORTOLAN_DRAFT, {manifest, sizeof manifest - 1}, find, create, destroy};
    return &p;
}
