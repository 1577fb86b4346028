/* A provider that keeps every rule, for upstreams that stream {"content":"...","finish_reason":"..."}; and, with BREAK_<something>
 * defined, one that breaks one of them. */
#include <portolan/abi.h>

#include <stdlib.h>
#include <string.h>

#if defined BREAK_SOCKETS
#include <sys/socket.h>
#elif defined BREAK_THREADS
#include <pthread.h>
#elif defined BREAK_FILES
#include <fcntl.h>
#endif

#define S(lit) ((portolan_str){lit, sizeof(lit) - 1})

#ifdef BREAK_CONFIG_INVALID
#define CONFIG "{\"type\":\"object\",\"properties\":{\"limit\":{\"title\":\"Limit\"}}}"
#else
#define CONFIG "{\"type\":\"object\",\"properties\":{\"loud\":{\"type\":\"boolean\",\"default\":false}}}"
#endif
#define MANIFEST(version, kind)                                                                                                            \
    "{\"id\":\"test.provider\",\"version\":\"" version "\",\"components\":{\"p\":{\"kind\":\"" kind                                       \
    "\",\"title\":\"Test\",\"streams\":true,\"ops\":{\"chat\":{\"native\":[\"openai\"]}},\"config\":" CONFIG "}}}"

#ifdef BREAK_MANIFEST_MISSING
static const char manifest[] = MANIFEST("1", "portolan.provider/1");
#elif defined BREAK_MANIFEST_WRONG
static const char manifest[] __attribute__((section(".portolan.manifest"), used)) = MANIFEST("1", "provider");
#elif defined BREAK_MANIFEST_DIFFERS
__attribute__((section(".portolan.manifest"), used)) static const char in_section[] = MANIFEST("1", "portolan.provider/1");
static const char manifest[] = MANIFEST("2", "portolan.provider/1");
#else
static const char manifest[] __attribute__((section(".portolan.manifest"), used)) = MANIFEST("1", "portolan.provider/1");
#endif

struct exchange {
    int finished, frames;
    portolan_handle kept_call;
    portolan_str kept_text;
    char text[64];
};
struct instance {
    unsigned last;
    char name[64];
};

#if defined BREAK_SHARED_STATIC || defined BREAK_RACE
static char scratch[64];
#endif
#ifdef BREAK_EXPORTS
PORTOLAN_EXPORT int a_second_export(void);
int a_second_export(void) { return 1; }
#endif

static portolan_status failed(const portolan_call* c, portolan_status status, portolan_str why)
{
    c->host->fail(c->id, why);
    return status;
}

/* Where `what` begins in `in`, or NULL. */
static const char* find_text(portolan_str in, portolan_str what)
{
    for (size_t i = 0; i + what.size <= in.size; ++i)
        if (!memcmp(in.data + i, what.data, what.size)) return in.data + i;
    return NULL;
}

static portolan_status emit(const portolan_call* c, const portolan_events* out, int32_t kind, portolan_str data, portolan_str name)
{
    const portolan_event ev = {.struct_size = sizeof ev, .kind = kind, .data = data, .name = name};
    return out->emit(c->id, &ev);
}

static void burn(long rounds)
{
    for (volatile long i = 0; i < rounds; ++i) {
    }
}

static portolan_status open_exchange(void* self, const portolan_call* c, const portolan_request* r, void** exchange)
{
    struct exchange* x = calloc(1, sizeof *x);
    (void)self, (void)c, (void)r;
    if (!x) return PORTOLAN_E_INTERNAL;
#ifdef BREAK_SHARED_INSTANCE
    ((struct instance*)self)->last = (unsigned)r->json.size;
#elif defined BREAK_SHARED_STATIC
    ++scratch[0];
#elif defined BREAK_RACE
    for (size_t i = 0; i < 60; ++i) { /* one buffer for all: what another thread writes meanwhile is said here */
        scratch[i] = (char)('a' + r->json.size % 26);
        burn(2000);
    }
    memcpy(x->text, scratch, 60);
#elif defined BREAK_ENVIRONMENT
    if (r->json.size == 4711) x->finished = getenv("HOME") != NULL;
#elif defined BREAK_SOCKETS
    if (r->json.size == 4711) x->finished = socket(AF_INET, SOCK_STREAM, 0);
#elif defined BREAK_THREADS
    if (r->json.size == 4711) pthread_create(&(pthread_t){0}, NULL, NULL, NULL);
#elif defined BREAK_FILES
    if (r->json.size == 4711) x->finished = open("/etc/hostname", O_RDONLY);
#endif
    *exchange = x;
    return PORTOLAN_OK;
}

static portolan_status request(void* exchange, const portolan_call* c, const portolan_request* r, const portolan_http* out)
{
    (void)exchange, (void)r, (void)burn;
    out->line(c->id, S("POST"), S(""), S("/chat"));
#ifdef BREAK_CUTS
    out->framing(c->id, PORTOLAN_FRAME_RAW);
#elif defined BREAK_BUDGET
    burn(400 * 1000 * 1000L);
#endif
    return PORTOLAN_OK;
}

/* One piece of the upstream's stream: its text, and whether it is the last. */
static portolan_status read_piece(struct exchange* x, const portolan_call* c, portolan_str data, const portolan_events* out)
{
    const char* text = find_text(data, S("\"content\":\""));
    portolan_status status = PORTOLAN_OK;
    if (text) {
        const portolan_str rest = {text + 11, data.size - (size_t)(text + 11 - data.data)};
        const char* end = memchr(rest.data, '"', rest.size);
        if (!end) return failed(c, PORTOLAN_E_UPSTREAM, S("a text without an end"));
        status = emit(c, out, PORTOLAN_EV_TEXT, (portolan_str){rest.data, (size_t)(end - rest.data)}, S(""));
#ifndef BREAK_REFUSAL
        if (status < 0) return PORTOLAN_E_CANCELLED;
#endif
    }
    if (find_text(data, S("\"finish_reason\":\"stop\""))) {
        x->finished = 1;
        status = emit(c, out, PORTOLAN_EV_FINISH, S(""), S("stop"));
    }
    return status < 0 ? PORTOLAN_E_CANCELLED : PORTOLAN_OK;
}

static portolan_status frame(void* exchange, const portolan_call* c, const portolan_frame* f, const portolan_events* out)
{
    struct exchange* x = exchange;
    ++x->frames;
    if (f->kind == PORTOLAN_FRAME_WHOLE) return failed(c, PORTOLAN_E_UPSTREAM, S("only streams are understood"));
#ifdef BREAK_TABLES
    if (out->struct_size != sizeof *out) return failed(c, PORTOLAN_E_INTERNAL, S("an unknown host"));
#elif defined BREAK_PAST_END
    if (f->data.data && strlen(f->data.data) == 4711) return PORTOLAN_OK;
#elif defined BREAK_CRASH
    if (f->data.size == 0) return *(volatile const char*)f->data.data;
#elif defined BREAK_EXIT
    if (f->data.size == 0) exit(3);
#elif defined BREAK_HANG
    for (volatile int i = 1; i;) {
    }
#elif defined BREAK_SINKS
    if (emit(c, out, PORTOLAN_EV_RAW, f->raw, S("")) < 0) return PORTOLAN_E_CANCELLED;
#elif defined BREAK_HANDLES
    if (x->frames == 1) x->kept_call = c->id;
#elif defined BREAK_BORROWED
    if (x->frames == 1) x->kept_text = f->data;
#elif defined BREAK_REFUSAL
    emit(c, out, PORTOLAN_EV_START, S(""), S("m"));
#elif defined BREAK_RACE
    if (emit(c, out, PORTOLAN_EV_START, (portolan_str){NULL, 0}, (portolan_str){x->text, 60}) < 0) return PORTOLAN_E_CANCELLED;
#endif
    return read_piece(x, c, f->data, out);
}

static portolan_status end(void* exchange, const portolan_call* c, const portolan_events* out)
{
    struct exchange* x = exchange;
    (void)out;
#ifdef BREAK_TRUNCATED
    if (!x->finished) return emit(c, out, PORTOLAN_EV_FINISH, S(""), S("stop"));
#elif defined BREAK_BORROWED
    if (x->finished && emit(c, out, PORTOLAN_EV_REASONING, x->kept_text, S("")) < 0) return PORTOLAN_E_CANCELLED;
#elif defined BREAK_HANDLES
    if (x->finished) out->emit(x->kept_call, &(portolan_event){.struct_size = sizeof(portolan_event), .kind = PORTOLAN_EV_START});
#endif
    return x->finished ? PORTOLAN_OK : failed(c, PORTOLAN_E_UPSTREAM, S("the stream broke off"));
}

static void close_exchange(void* exchange)
{
#ifdef BREAK_LEAKS
    (void)exchange;
#else
    free(exchange);
#endif
}

static const portolan_provider provider = {sizeof provider, 0, open_exchange, request, frame, end,
#ifdef BREAK_EMPTY_PLACES
                                           NULL,
#else
                                           close_exchange,
#endif
                                           NULL};

static const void* find(portolan_str component, portolan_str face)
{
    (void)component;
#ifdef BREAK_ANY_FACE
    (void)face;
    return &provider;
#else
    return face.size == sizeof(PORTOLAN_PROVIDER) - 1 && !memcmp(face.data, PORTOLAN_PROVIDER, face.size) ? &provider : NULL;
#endif
}

static portolan_status create(const portolan_call* c, portolan_str component, portolan_str config, void** self)
{
    (void)c, (void)component, (void)config;
#ifdef BREAK_CONFIG_VALID
    if (find_text(config, S("\"loud\":false"))) return failed(c, PORTOLAN_E_INVALID, S("too quiet"));
#endif
    *self = calloc(1, sizeof(struct instance));
    return *self ? PORTOLAN_OK : PORTOLAN_E_INTERNAL;
}

static void destroy(portolan_str component, void* self)
{
    (void)component;
    free(self);
}

const portolan_plugin* PORTOLAN_ENTRY(void)
{
    static const portolan_plugin p = {sizeof p, PORTOLAN_DRAFT, {manifest, sizeof manifest - 1}, find, create, destroy};
#ifdef BREAK_ENTRY
    static int asked;
    static const portolan_plugin other = {sizeof other, PORTOLAN_DRAFT, {manifest, sizeof manifest - 1}, find, create, destroy};
    if (asked++) return &other;
#endif
    return &p;
}
