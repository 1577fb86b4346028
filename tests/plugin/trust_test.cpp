#include "plugin/library.h"
#include "plugin/staging.h"
#include "plugin/trust.h"
#include "sandbox.h"

#include <catch2/catch.hpp>

#include <openssl/evp.h>

using namespace plugin;

namespace {

/// Folder and file as an operator would have them, or a loud skip where the build tree itself is not trusted.
bool build_tree_is_trusted(const Sandbox& box)
{
    if (const auto folder = Folder::open(box.plugins().string(), Trust::DirectoryOwner); folder.ok()) return true;
    WARN("the folders above the build tree may be written by others: skipped");
    return false;
}

std::string refusal(const Sandbox& box, const std::string& name, Trust trust = Trust::DirectoryOwner, const Vouched& vouched = {})
{
    const auto folder = Folder::open(box.plugins().string(), trust);
    if (!folder) return "folder: " + folder.fault().message;
    const auto file = folder->read(name, vouched);
    return file ? "trusted" : file.fault().message;
}

} // namespace

TEST_CASE("a file that only its owner may write is trusted and hashed")
{
    const Sandbox box;
    if (!build_tree_is_trusted(box)) return;
    spit(box.plugins() / "a.so", "abc");
    chmod((box.plugins() / "a.so").c_str(), 0644);
    const auto folder = Folder::open(box.plugins().string() + "/", Trust::DirectoryOwner);
    REQUIRE(folder.ok());
    const auto file = folder->read("a.so", {});
    REQUIRE(file.ok());
    CHECK(file->bytes == "abc");
    CHECK(file->sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("a file that others may write is refused")
{
    const Sandbox box;
    if (!build_tree_is_trusted(box)) return;
    spit(box.plugins() / "a.so", "abc");
    chmod((box.plugins() / "a.so").c_str(), 0664);
    CHECK(refusal(box, "a.so") == "is not trusted: others than its owner may write to it");
    CHECK(refusal(box, "a.so", Trust::Any) == "trusted");
    chmod((box.plugins() / "a.so").c_str(), 0646);
    CHECK(refusal(box, "a.so", Trust::Any) == "is not trusted: everybody may write to it");
}

TEST_CASE("symbolic links are not followed, at the file or at the folder")
{
    const Sandbox box;
    spit(box.path / "real.so", "abc");
    fs::create_symlink(box.path / "real.so", box.plugins() / "link.so");
    CHECK(refusal(box, "link.so", Trust::Any) == "is a symbolic link");
    fs::create_directory_symlink(box.plugins(), box.path / "folder");
    const auto folder = Folder::open((box.path / "folder").string(), Trust::Any);
    CHECK(folder.fault().message == "not a folder, or a symbolic link to one");
    CHECK(Folder::open((box.path / "folder").string() + "/", Trust::Any).fault().message == "not a folder, or a symbolic link to one");
}

TEST_CASE("a name with a slash, a hidden name and a name that is no library are refused")
{
    const Sandbox box;
    spit(box.path / "out.so", "abc");
    for (const char* name : {"../out.so", "/etc/passwd.so", "sub/x.so", ".so", ".hidden.so", "x.so.1", ""})
        CHECK(refusal(box, name, Trust::Any) == "not a plain file name that ends in .so");
    CHECK(refusal(box, std::string("x\0.so", 5), Trust::Any) == "not a plain file name that ends in .so");
}

TEST_CASE("what is no regular file is refused without waiting for it")
{
    const Sandbox box;
    REQUIRE(mkfifo((box.plugins() / "pipe.so").c_str(), 0600) == 0);
    fs::create_directory(box.plugins() / "dir.so");
    CHECK(refusal(box, "pipe.so", Trust::Any) == "is not a regular file");
    CHECK(refusal(box, "dir.so", Trust::Any) == "is not a regular file");
}

TEST_CASE("a folder above that others may write is refused, unless it is sticky")
{
    const Sandbox box;
    if (!build_tree_is_trusted(box)) return;
    spit(box.plugins() / "a.so", "abc");
    chmod((box.plugins() / "a.so").c_str(), 0644);
    chmod(box.path.c_str(), 0777);
    CHECK(refusal(box, "a.so").starts_with("folder: the folder 1 above is not trusted"));
    CHECK(refusal(box, "a.so", Trust::Any).starts_with("folder: the folder 1 above is not trusted"));
    chmod(box.path.c_str(), 01777);
    CHECK(refusal(box, "a.so") == "trusted");
    CHECK(refusal(box, "a.so", Trust::Any) == "trusted");
    chmod(box.plugins().c_str(), 01777);
    CHECK(refusal(box, "a.so").starts_with("folder: the folder is not trusted"));
    chmod(box.plugins().c_str(), 0755);
    chmod(box.path.c_str(), 0755);
    CHECK(refusal(box, "a.so") == "trusted");
    chmod(box.plugins().c_str(), 0775);
    CHECK(refusal(box, "a.so").starts_with("folder: the folder is not trusted"));
}

TEST_CASE("a folder that holds this very program is not judged: who may write there can replace the program")
{
    const fs::path mine = fs::read_symlink("/proc/self/exe").parent_path().parent_path();
    struct stat before{};
    REQUIRE(stat(mine.c_str(), &before) == 0);
    std::string name = (mine / "sandbox-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()));
    spit(fs::path(name) / "a.so", "abc");
    chmod(mine.c_str(), 0775);
    const auto opened = Folder::open(name, Trust::DirectoryOwner);
    chmod(mine.c_str(), before.st_mode & 07777);
    chmod(name.c_str(), 0775);
    const auto writable = Folder::open(name, Trust::DirectoryOwner);
    fs::remove_all(name);
    CHECK(opened.ok());
    CHECK_FALSE(writable.ok());
}

TEST_CASE("a path that leads through a link in a folder of everybody's is refused")
{
    const Sandbox box;
    if (!build_tree_is_trusted(box)) return;
    fs::create_directory(box.path / "open");
    fs::create_directory_symlink(box.path, box.path / "open" / "link");
    CHECK(Folder::open((box.path / "open" / "link" / "plugins").string(), Trust::DirectoryOwner).ok());
    chmod((box.path / "open").c_str(), 0777);
    CHECK_FALSE(Folder::open((box.path / "open" / "link" / "plugins").string(), Trust::DirectoryOwner).ok());
}

TEST_CASE("somebody else's file or folder is refused")
{
    const Sandbox box;
    if (geteuid() != 0) {
        WARN("only root can give files away: skipped");
        return;
    }
    if (!build_tree_is_trusted(box)) return;
    spit(box.plugins() / "a.so", "abc");
    chmod((box.plugins() / "a.so").c_str(), 0644);
    REQUIRE(chown((box.plugins() / "a.so").c_str(), 65534, 65534) == 0);
    CHECK(refusal(box, "a.so") == "is not trusted: it belongs to user 65534, not to root or to this process's user");
    CHECK(refusal(box, "a.so", Trust::Any) == "trusted");
    REQUIRE(chown(box.plugins().c_str(), 65534, 65534) == 0);
    CHECK(refusal(box, "a.so").starts_with("folder: the folder is not trusted: it belongs to user 65534"));
}

TEST_CASE("pinned files are those with the hash that the operator named")
{
    const Sandbox box;
    if (!build_tree_is_trusted(box)) return;
    spit(box.plugins() / "a.so", "abc");
    chmod((box.plugins() / "a.so").c_str(), 0644);
    const std::string hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    CHECK(refusal(box, "a.so", Trust::Pinned) == "plugins.allow does not name it; its SHA-256 is " + hash);
    CHECK(refusal(box, "a.so", Trust::Pinned, {{{"b.so", hash}}, {}}).starts_with("plugins.allow does not name it"));
    CHECK(refusal(box, "a.so", Trust::Pinned, {{{"a.so", hash}}, {}}) == "trusted");
    spit(box.plugins() / "a.so", "abd");
    CHECK(refusal(box, "a.so", Trust::Pinned, {{{"a.so", hash}}, {}}).ends_with("plugins.allow says " + hash));
}

TEST_CASE("a folder that is swapped after it was checked does not get its files read")
{
    const Sandbox box;
    spit(box.plugins() / "a.so", "good");
    const auto folder = Folder::open(box.plugins().string(), Trust::Any);
    REQUIRE(folder.ok());
    fs::rename(box.plugins(), box.path / "moved");
    fs::create_directory(box.plugins());
    spit(box.plugins() / "a.so", "evil");
    CHECK(folder->read("a.so", {})->bytes == "good");
}

TEST_CASE("a file that is swapped after it was read does not get mapped")
{
    const Sandbox box;
    box.put("good", "first");
    const auto folder = Folder::open(box.plugins().string(), Trust::Any);
    REQUIRE(folder.ok());
    const auto file = folder->read("good.so", {});
    REQUIRE(file.ok());
    spit(box.plugins() / "good.so", "evil");
    const auto staged = stage(*file, box.store().string());
    REQUIRE(staged.ok());
    CHECK(sha256_hex(slurp(*staged)) == file->sha256);
    CHECK(Library::load(*file, box.store().string()).ok());
}

TEST_CASE("a staged copy is private, is named by its content and is made once")
{
    const Sandbox box;
    const PluginFile file{"a.so", "abc", sha256_hex("abc")};
    const auto path = stage(file, box.store().string());
    REQUIRE(path.ok());
    CHECK(*path == (box.store() / file.sha256 / "a.so").string());
    struct stat first{}, again{}, folder{};
    REQUIRE(stat(path->c_str(), &first) == 0);
    REQUIRE(stat(box.store().c_str(), &folder) == 0);
    CHECK((first.st_mode & 07777) == 0500);
    CHECK((folder.st_mode & 07777) == 0700);
    REQUIRE(stage(file, box.store().string()).ok());
    REQUIRE(stat(path->c_str(), &again) == 0);
    CHECK(first.st_ino == again.st_ino);
}

TEST_CASE("a staged copy that was tampered with is replaced")
{
    const Sandbox box;
    const PluginFile file{"a.so", "abc", sha256_hex("abc")};
    const auto path = stage(file, box.store().string());
    REQUIRE(path.ok());
    SECTION("its content")
    {
        chmod(path->c_str(), 0700);
        spit(*path, "evil");
        chmod(path->c_str(), 0500);
    }
    SECTION("a link in its place")
    {
        spit(box.path / "evil", "evil");
        fs::remove(*path);
        fs::create_symlink(box.path / "evil", *path);
    }
    REQUIRE(stage(file, box.store().string()).ok());
    CHECK(slurp(*path) == "abc");
    CHECK(fs::symlink_status(*path).type() == fs::file_type::regular);
}

TEST_CASE("a store that others may write to is refused")
{
    const Sandbox box;
    fs::create_directory(box.store());
    chmod(box.store().c_str(), 0777);
    const auto path = stage({"a.so", "abc", sha256_hex("abc")}, box.store().string());
    REQUIRE_FALSE(path.ok());
    CHECK(path.fault().message.find("not ours alone") != std::string::npos);
}

TEST_CASE("trust is one of four words")
{
    CHECK(*trust_of("signed") == Trust::Signed);
    CHECK(*trust_of("pinned") == Trust::Pinned);
    CHECK(*trust_of("directory-owner") == Trust::DirectoryOwner);
    CHECK(*trust_of("any") == Trust::Any);
    CHECK_FALSE(trust_of("all").ok());
}

namespace {

/// An Ed25519 key of this test's own.
class Signer {
public:
    Signer() : key_(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")) {}
    ~Signer() { EVP_PKEY_free(key_); }
    Signer(const Signer&) = delete;
    Signer& operator=(const Signer&) = delete;
    [[nodiscard]] std::string public_hex() const
    {
        unsigned char raw[32];
        std::size_t n = sizeof raw;
        EVP_PKEY_get_raw_public_key(key_, raw, &n);
        std::string hex;
        for (const auto b : raw) (hex += "0123456789ABCDEF"[b >> 4]) += "0123456789abcdef"[b & 15];
        return hex;
    }
    [[nodiscard]] std::string sign(const std::string& bytes) const
    {
        std::string out(64, 0);
        std::size_t n = out.size();
        auto* context = EVP_MD_CTX_new();
        EVP_DigestSignInit(context, nullptr, nullptr, nullptr, key_);
        EVP_DigestSign(context, reinterpret_cast<unsigned char*>(out.data()), &n, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
        EVP_MD_CTX_free(context);
        return out;
    }

private:
    EVP_PKEY* key_;
};

void put(const fs::path& file, const std::string& bytes)
{
    fs::remove(file);
    spit(file, bytes);
    chmod(file.c_str(), 0644);
}

} // namespace

TEST_CASE("signed files are those with a signature of their bytes by one of the operator's signers")
{
    const Sandbox box;
    if (!build_tree_is_trusted(box)) return;
    const Signer mine, stranger;
    const Vouched vouched{{}, {stranger.public_hex().substr(0, 62) + "00", mine.public_hex()}};
    put(box.plugins() / "a.so", "abc");
    CHECK(refusal(box, "a.so", Trust::Signed, vouched).starts_with("its signature a.so.sig: cannot be opened"));
    put(box.plugins() / "a.so.sig", mine.sign("abc"));
    CHECK(refusal(box, "a.so", Trust::Signed, vouched) == "trusted");
    CHECK(refusal(box, "a.so", Trust::Signed) == "plugins.signers is empty: nobody's signature counts");
    put(box.plugins() / "a.so", "abd");
    CHECK(refusal(box, "a.so", Trust::Signed, vouched) == "its signature is by none of plugins.signers");
    put(box.plugins() / "a.so.sig", stranger.sign("abd"));
    CHECK(refusal(box, "a.so", Trust::Signed, vouched) == "its signature is by none of plugins.signers");
    for (const std::string& nonsense : {std::string(), mine.sign("abd").substr(1), mine.sign("abd") + "x"}) {
        put(box.plugins() / "a.so.sig", nonsense);
        CHECK(refusal(box, "a.so", Trust::Signed, vouched) != "trusted");
    }
    put(box.plugins() / "sig", mine.sign("abd"));
    fs::remove(box.plugins() / "a.so.sig");
    fs::create_symlink(box.plugins() / "sig", box.plugins() / "a.so.sig");
    CHECK(refusal(box, "a.so", Trust::Signed, vouched) == "its signature a.so.sig: is a symbolic link");
}

TEST_CASE("a file that somebody is writing to is refused until it is closed")
{
    const Sandbox box;
    put(box.plugins() / "a.so", "abc");
    {
        const std::ofstream writer(box.plugins() / "a.so", std::ios::app);
        CHECK(refusal(box, "a.so", Trust::Any) == "is being written to");
    }
    CHECK(refusal(box, "a.so", Trust::Any) == "trusted");
}

TEST_CASE("seven attacks on the loader, no load")
{
    const Sandbox box;
    if (!build_tree_is_trusted(box)) return;
    auto settings = box.settings("directory-owner");
    const auto good = [&](const std::string& trailing) { return slurp(fixture("good")) + trailing; };
    const auto loads = [&] {
        auto registry = box.registry(settings);
        registry.load();
        std::size_t n = 0;
        for (const auto& row : registry.list()) n += row.state == "serving";
        return n;
    };
    const auto file = box.plugins() / "a.so";
    put(file, good("attacks"));
    REQUIRE(loads() == 1); // without an attack it would
    SECTION("a symbolic link")
    {
        put(box.path / "real.so", good("link"));
        fs::remove(file);
        fs::create_symlink(box.path / "real.so", file);
        CHECK(loads() == 0);
    }
    SECTION("a file that everybody may write to")
    {
        chmod(file.c_str(), 0666);
        CHECK(loads() == 0);
    }
    SECTION("a file of somebody else")
    {
        if (chown(file.c_str(), 65534, 65534) == 0)
            CHECK(loads() == 0);
        else
            WARN("not root: skipped");
    }
    SECTION("another content than the pinned one")
    {
        settings.trust = "pinned";
        settings.allow["a.so"] = sha256_hex(good("what the operator saw"));
        CHECK(loads() == 0);
    }
    SECTION("a swap between check and mapping")
    {
        put(file, good("swap"));
        const auto folder = Folder::open(box.plugins().string(), Trust::DirectoryOwner);
        const auto read = folder->read("a.so", {});
        REQUIRE(read.ok());
        put(file, "evil");
        const auto library = Library::load(*read, box.store().string());
        REQUIRE(library.ok());
        CHECK((*library)->hash() == sha256_hex(good("swap"))); // what was checked is what is mapped
        CHECK(slurp(box.store() / (*library)->hash() / "a.so") == good("swap"));
        CHECK(loads() == 0);
    }
    SECTION("a folder that others may write to")
    {
        chmod(box.plugins().c_str(), 0777);
        CHECK(loads() == 0);
        chmod(box.plugins().c_str(), 0755);
        chmod(box.path.c_str(), 0777);
        CHECK(loads() == 0);
    }
    SECTION("a name with a slash")
    {
        settings.trust = "pinned";
        put(box.path / "b.so", good("slash"));
        settings.allow["../b.so"] = sha256_hex(good("slash"));
        CHECK(loads() == 0);
        CHECK(refusal(box, "../b.so", Trust::Pinned, {settings.allow, {}}) == "not a plain file name that ends in .so");
    }
}
