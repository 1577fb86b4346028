#include "check/rules.h"

#include <algorithm>

namespace check {

namespace {

constexpr RuleText rules[] = {
    {Rule::Manifest, "manifest", "R1", "its manifest lies in .portolan.manifest, is valid, and its table shows the same bytes",
     "The host decides what a file is, and what it may do, before any of its code runs. Two manifests would be two answers.",
     "PORTOLAN_PLUGIN puts one text into both places; without it point portolan_plugin.manifest at the array in the section."},
    {Rule::Exports, "exports", "R1", "it exports portolan_plugin_v1 and nothing else",
     "What is exported may be bound by somebody else: two versions of one plugin have answered each other's calls.",
     "Build with portolan_add_plugin: hidden visibility, the version script portolan_plugin.map, -fno-gnu-unique."},
    {Rule::Imports, "imports", "R10", "it imports no sockets, files, threads, clocks, random numbers or environment",
     "A decision is a function of what was logged, so that it can be replayed; a call on an event loop must not wait; a key must not leave by a side door.",
     "Time is call.now_us, chance is call.seed, settings come with create(). Often the import belongs to a library that is not needed."},
    {Rule::Entry, "entry", "R1", "its entry gives the same complete table each time, and NULL for names that it does not know",
     "The host asks for faces by name and takes NULL for absent; whatever else comes back is called.",
     "Keep the table in static storage, fill in every function, compare component and face in find()."},
    {Rule::Config, "config", "R9", "it makes an instance of every configuration that its schema allows, and of no other",
     "The schema is what operators and the dashboard go by: an accepted slip is a setting that silently does nothing.",
     "Give each property a type, list what is required, leave additionalProperties out; fail in create() with a reason."},
    {Rule::Crash, "crash", "R2", "it survives whatever an upstream or a client may send",
     "Native plugins share the host's process: a crash ends every stream.",
     "Check sizes and types before use. Texts have no NUL at their end. Never call abort() or exit()."},
    {Rule::Unwinding, "unwinding", "R2", "no exception or panic leaves it",
     "The two sides may come from different compilers; an exception in C frames ends the process.",
     "Derive from plugin.hpp, which catches all. Without it: noexcept functions that catch. Rust: catch_unwind."},
    {Rule::Borrowed, "borrowed", "R3", "it keeps no pointer into what a call handed in",
     "The host uses the buffers again for the next frame: a kept pointer reads somebody else's answer.",
     "Copy what you keep into a string of your own. Do not store Call, Request, Frame or Events."},
    {Rule::Handles, "handles", "R3", "it uses a call's handle during that call, on that thread",
     "A handle is a number that is refused afterwards: what was meant to be said is lost.",
     "Pass the call down instead of storing it. Speak on the thread that was called."},
    {Rule::Tables, "tables", "R5", "it reads no struct or text past its end, and lives with larger structs",
     "Structs grow at the end. Old plugins meet new hosts and new plugins meet old ones.",
     "Ask PORTOLAN_HAS before a field newer than 1.0; never compare struct_size for equality; walk lists as lists of pointers."},
    {Rule::Sinks, "sinks", "R4", "what it pushes is well-formed",
     "The host refuses the rest and blames the plugin; the request goes to another candidate.",
     "Set struct_size, send usage and fault with their events, RAW only if the request is native, begin a tool call before its arguments."},
    {Rule::Cases, "cases", "", "it does what its cases say", "They are the plugin's own tests.", "Mend the plugin, or the case."},
    {Rule::Cuts, "cuts", "R3", "its output does not depend on how the network cut the reply",
     "The same answer arrives in other pieces every time.",
     "Keep the rest of an unfinished piece in the exchange; never take a piece for a line or a message with PORTOLAN_FRAME_RAW."},
    {Rule::Truncated, "truncated", "R4", "it never takes a reply that broke off for a finished one",
     "A stream never lies: a client must not read half an answer as a whole one.",
     "Send finish only when the upstream said so, and fail in end() if it did not."},
    {Rule::Refusal, "refusal", "R4", "when emit() refuses, it returns at once",
     "The client is gone; whatever is done now is wasted, and money is spent upstream.",
     "Return when emit() is negative. plugin.hpp does it by throwing Stopped: do not swallow it with catch (...)."},
    {Rule::Deterministic, "deterministic", "R10", "an equal snapshot, seed and configuration give an equal decision",
     "A decision is explained and replayed from the log.",
     "Chance comes from call.seed, turns from snapshot.sequence. No counters, no addresses, no iteration over hash tables of pointers."},
    {Rule::Indexes, "indexes", "R4", "every index that it names exists, and none is picked twice",
     "The host drops such picks; what the policy meant is lost.", "Compare with candidate_count, and remember what was picked."},
    {Rule::Budget, "budget", "R8", "it returns within its time",
     "Calls run on an event loop: other people's tokens wait. Late results are thrown away.",
     "No sleep, no endless loop, no parsing of the whole configuration in decide(). To wait: delay_us, later_us."},
    {Rule::Leaks, "leaks", "R4", "100 rounds of load, create, use and destroy leave nothing behind",
     "A host runs for months and reloads often.",
     "Free in destroy() and close() what create() and open() made; close files, join threads."},
    {Rule::Shared, "shared", "R8", "calls marked [shared] overlap: they do not change the instance or static data",
     "Eight loops call the same instance at once. A race shows once a month, in production.",
     "What a request needs lives in its exchange or on the stack. What a policy learns are bytes that the host keeps."},
    {Rule::Versions, "versions", "R1", "two versions of it in one process share nothing",
     "A new version is loaded beside the old one while streams run.",
     "Build with -fno-gnu-unique and the version script, as portolan_add_plugin does."},
};

} // namespace

std::span<const RuleText> all_rules() { return rules; }

const RuleText& text_of(Rule rule)
{
    return *std::find_if(std::begin(rules), std::end(rules), [&](const RuleText& t) { return t.rule == rule; });
}

} // namespace check
