// SPDX-License-Identifier: Apache-2.0
// The linter is a test: the rules of the house, applied to this repository, and each rule shown to
// be able to fail.
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tidy/exemptions.h"
#include "tidy/rules.h"
#include "tidy/scan.h"

namespace braidway::tidy {
namespace {

// --- this repository
// --------------------------------------------------------------------------------

std::string read_text(const std::filesystem::path& path) {
    std::ifstream in(path);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

bool is_ours(const std::string& path) {
    static const std::set<std::string> suffixes{".h", ".cc", ".py", ".sh", ".cmake"};
    const std::filesystem::path name(path);
    return suffixes.contains(name.extension()) || name.filename() == "CMakeLists.txt";
}

std::vector<SourceFile> read_repository() {
    const std::filesystem::path root = BRAIDWAY_SOURCE_DIR;
    std::vector<SourceFile> files;
    for (const char* folder :
         {"src", "include", "tests", "fuzz", "bench", "docs/examples", "cmake"})
        for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
            const std::string path = entry.path().lexically_relative(root);
            if (entry.is_regular_file() && is_ours(path))
                files.push_back({path, read_text(entry.path())});
        }
    for (const char* path : {"CMakeLists.txt", "dev", ".ci/run"})
        files.push_back({path, read_text(root / path)});
    return files;
}

const std::vector<SourceFile>& repository() {
    static const std::vector<SourceFile> files = read_repository();
    return files;
}

void expect_none(const Findings& findings) {
    for (const Finding& finding : findings)
        ADD_FAILURE() << finding.path << ":" << finding.line << ": " << finding.message;
}

template <typename Rule>
void expect_clean(Rule rule) {
    ASSERT_GT(repository().size(), 20u);
    for (const SourceFile& file : repository()) expect_none(rule(file));
}

TEST(House, RoomsIncludeOnlyWhatTheirFloorAllows) {
    const Floors floors =
        parse_floors(read_text(std::filesystem::path(BRAIDWAY_SOURCE_DIR) / "docs/floors.txt"));
    ASSERT_GE(floors.size(), 13u);
    expect_clean([&](const SourceFile& file) { return wrong_floor(file, floors); });
}

TEST(House, PublicHeadersNeedNoSources) {
    expect_clean(public_header_needs_sources);
}

TEST(House, UnitsIncludeTheirOwnHeaderFirst) {
    expect_clean([](const SourceFile& file) { return own_header_not_first(file, repository()); });
}

TEST(House, FunctionsFitOnAScreen) {
    expect_clean([](const SourceFile& file) { return long_functions(file, long_ones); });
}

TEST(House, FilesHoldOneIdea) {
    expect_clean(long_file);
}

TEST(House, NobodyCallsWhatIsBanned) {
    expect_clean(banned_calls);
}

TEST(House, EveryTodoHasAReason) {
    expect_clean(todo_without_reason);
}

TEST(House, EveryFileNamesItsLicense) {
    expect_clean(missing_license);
}

TEST(House, HeadersSayWhatTheyAreFor) {
    expect_clean(header_form);
}

TEST(House, PublicTypesHaveComments) {
    expect_clean(public_type_without_comment);
}

TEST(House, EveryUnitHasATest) {
    expect_none(units_without_test(repository(), untested));
}

TEST(House, EveryHeaderIsIncluded) {
    expect_none(headers_nobody_includes(repository(), unincluded));
}

TEST(House, EverySourceIsBuilt) {
    expect_none(sources_not_built(repository()));
}

// --- the rules can fail
// -----------------------------------------------------------------------------

Findings lines_with(std::string_view path, std::string_view text,
                    Findings (*rule)(const SourceFile&)) {
    return rule({std::string(path), std::string(text)});
}

std::string function_of(size_t lines, std::string_view head = "int f(int a)") {
    std::string text = std::string(head) + " {\n";
    for (size_t line = 2; line < lines; ++line) text += "    call();\n";
    return text + "}\n";
}

TEST(Scan, SplitsCodeFromCommentsAndLiterals) {
    const SplitText halves = split(
        "int a = 1'000;  // new thing\nconst char* b = \"new // \\\" new\"; /* new\nnew */ char c "
        "= "
        "'\"';\nauto d = R\"x(new \" )\" new)x\"; int e;\n#define N \\\n    new\nint f;\n");
    EXPECT_EQ(halves.code.find("new"), std::string::npos);
    EXPECT_NE(halves.code.find("1'000"), std::string::npos);
    EXPECT_NE(halves.code.find("int e;"), std::string::npos);
    EXPECT_NE(halves.code.find("int f;"), std::string::npos);
    EXPECT_NE(halves.comments.find("// new thing"), std::string::npos);
    EXPECT_NE(halves.comments.find("new */"), std::string::npos);
    EXPECT_EQ(lines_of(halves.code).size(), 7u);
}

TEST(Scan, FindsFunctionsAndTypes) {
    const auto spans = spans_of(
        "namespace a {\nclass B : public C {\n  public:\n    B() : x_{1}, y_(2) {\n        go();\n"
        "    }\n  private:\n    int x_;\n};\nnamespace {\nstruct alignas(64) D {\n};\n}\n"
        "constexpr int table[] = {1, 2};\nauto e(int f) -> int {\n    if (f) { return 1; }\n"
        "    auto g = [] { return 2; };\n}\n}\n");
    ASSERT_EQ(spans.size(), 4u);
    EXPECT_EQ(spans[0].head, "B() : x_{1}, y_(2)");
    EXPECT_EQ(spans[0].lines(), 3u);
    EXPECT_TRUE(spans[0].in_type);
    EXPECT_EQ(spans[1].head, "class B : public C");
    EXPECT_EQ(spans[1].first_line, 2u);
    EXPECT_EQ(spans[2].kind, Span::Kind::type);
    EXPECT_TRUE(spans[2].anonymous);
    EXPECT_EQ(spans[3].head, "auto e(int f) -> int");
    EXPECT_EQ(spans[3].last_line, 18u);
}

TEST(Scan, TakesAClassWithAttributesForAClass) {
    const auto spans = spans_of(
        "template <typename P>\nclass LOCK(\" \") A {\n    void f() LOCK() {\n        g();\n    }\n"
        "};\nstruct B {\n    TEST(int) {}\n};\n");
    ASSERT_EQ(spans.size(), 4u);
    EXPECT_EQ(spans[0].kind, Span::Kind::function);
    EXPECT_TRUE(spans[0].in_type);
    EXPECT_EQ(spans[1].kind, Span::Kind::type);
    EXPECT_EQ(spans[2].kind, Span::Kind::function);
    EXPECT_EQ(spans[3].kind, Span::Kind::type);
}

TEST(Rules, FloorsAreKept) {
    const Floors floors =
        parse_floors("# comment\n0  base\n3  block  loop\n4  path  block\n2 loop\n");
    const SourceFile good{"src/block/a.cc", "#include \"block/a.h\"\n#include \"base/b.h\"\n"};
    const SourceFile upward{"src/block/a.cc", "#include \"path/file.h\"\n"};
    const SourceFile bare{"src/block/a.cc", "#include \"file.h\"\n"};
    const SourceFile unknown{"src/attic/a.cc", ""};
    EXPECT_TRUE(wrong_floor(good, floors).empty());
    ASSERT_EQ(wrong_floor(upward, floors).size(), 1u);
    EXPECT_NE(wrong_floor(upward, floors)[0].message.find("base, block, loop"), std::string::npos);
    EXPECT_EQ(wrong_floor(bare, floors).size(), 1u);
    EXPECT_EQ(wrong_floor(unknown, floors).size(), 1u);
}

TEST(Rules, PublicHeadersBelongToARoom) {
    const Floors floors = parse_floors("0  base\n1  sync\n1 wire\n2  loop  sync\n");
    const auto count = [&](std::string_view path, std::string_view include) {
        return wrong_floor({std::string(path), "#include \"" + std::string(include) + "\"\n"},
                           floors)
            .size();
    };
    EXPECT_EQ(count("src/loop/a.h", "braidway/sync/b.h"), 0u);
    EXPECT_EQ(count("src/wire/a.h", "braidway/sync/b.h"), 1u);
    EXPECT_EQ(count("src/loop/a.h", "braidway/attic/b.h"), 1u);
    EXPECT_EQ(count("src/loop/a.h", "braidway/b.h"), 1u);
    EXPECT_EQ(count("include/braidway/loop/a.h", "braidway/sync/b.h"), 0u);
    EXPECT_EQ(count("include/braidway/wire/a.h", "braidway/sync/b.h"), 1u);
    EXPECT_EQ(count("include/braidway/attic/a.h", "braidway/sync/b.h"), 1u);
}

TEST(Rules, PublicHeadersIncludeOnlyWhatIsInstalledWithThem) {
    const auto count = [](std::string_view path, std::string_view include) {
        return lines_with(path, "#include " + std::string(include) + "\n",
                          public_header_needs_sources)
            .size();
    };
    constexpr std::string_view here = "include/braidway/sync/a.h";
    EXPECT_EQ(count(here, "\"braidway/sync/b.h\""), 0u);
    EXPECT_EQ(count(here, "<atomic>"), 0u);
    EXPECT_EQ(count(here, "<sys/types.h>"), 0u);
    EXPECT_EQ(count(here, "\"base/check.h\""), 1u);
    EXPECT_EQ(count(here, "\"sync/mailbox.h\""), 1u);
    EXPECT_EQ(count(here, "<fmt/format.h>"), 1u);
    EXPECT_EQ(count("src/sync/a.h", "\"base/check.h\""), 0u);
}

TEST(Rules, OwnHeaderComesFirst) {
    const std::vector<SourceFile> all{{"src/a/b.h", ""}, {"include/braidway/a/c.h", ""}};
    EXPECT_EQ(own_header_not_first({"src/a/c.cc", "#include \"a/b.h\"\n"}, all).size(), 1u);
    EXPECT_TRUE(own_header_not_first({"src/a/c.cc", "#include \"braidway/a/c.h\"\n"}, all).empty());
    const std::vector<SourceFile> both{{"src/a/b.h", ""}, {"include/braidway/a/b.h", ""}};
    EXPECT_TRUE(
        own_header_not_first({"src/a/b.cc", "#include \"braidway/a/b.h\"\n"}, both).empty());
    EXPECT_TRUE(own_header_not_first({"src/a/b.cc", "#include \"a/b.h\"\n"}, both).empty());
    EXPECT_EQ(own_header_not_first({"src/a/b.cc", "#include <map>\n"}, both).size(), 1u);
    EXPECT_EQ(
        own_header_not_first({"src/a/b.cc", "#include <map>\n#include \"a/b.h\"\n"}, all).size(),
        1u);
    EXPECT_TRUE(own_header_not_first({"src/a/b.cc", "#include \"a/b.h\"\n"}, all).empty());
    EXPECT_TRUE(own_header_not_first({"src/a/main.cc", "#include <map>\n"}, all).empty());
}

TEST(Rules, FunctionsMayOnlyGetShorter) {
    const SourceFile fits{"src/a/b.cc", function_of(70)};
    const SourceFile longer{"src/a/b.cc", function_of(71)};
    EXPECT_TRUE(long_functions(fits, {}).empty());
    EXPECT_EQ(long_functions(longer, {}).size(), 1u);
    const std::array known{LongFunction{"src/a/b.cc", "f(", 71}};
    EXPECT_TRUE(long_functions(longer, known).empty());
    EXPECT_EQ(long_functions({"src/a/b.cc", function_of(72)}, known).size(), 1u);
    EXPECT_EQ(long_functions(fits, known).size(), 1u);
    EXPECT_EQ(long_functions({"tests/a_test.cc", function_of(80, "TEST(A, B)")}, {}).size(), 1u);
}

TEST(Rules, LongFilesHaveAReason) {
    const std::string lines(401, '\n');
    EXPECT_EQ(lines_with("src/a/b.cc", lines, long_file).size(), 1u);
    EXPECT_EQ(lines_with("src/a/b.cc", "// Long because: x\n" + lines, long_file).size(), 1u);
    EXPECT_TRUE(
        lines_with("src/a/b.cc", "// Long because: one table of answers\n" + lines, long_file)
            .empty());
    EXPECT_TRUE(lines_with("src/a/b.cc", std::string(400, '\n'), long_file).empty());
}

TEST(Rules, BannedCallsAreFoundAndTheirLikesAreNot) {
    const auto count = [](std::string_view path, std::string_view text) {
        return lines_with(path, text, banned_calls).size();
    };
    EXPECT_EQ(count("src/map/a.cc", "auto t = std::time(nullptr);"), 1u);
    EXPECT_EQ(count("src/map/a.cc", "auto t = std::chrono::steady_clock::now();"), 1u);
    EXPECT_EQ(count("src/map/a.cc", "const Instant now = monotonic_now();"), 1u);
    EXPECT_EQ(count("src/loop/a.cc", "const Instant now = monotonic_now();"), 0u);
    EXPECT_EQ(count("src/map/a.cc", "return rand();"), 1u);
    EXPECT_EQ(count("src/map/a.cc", "auto* a = new int;"), 1u);
    EXPECT_EQ(count("src/memory/a.cc", "auto* a = new int;"), 0u);
    EXPECT_EQ(count("src/map/a.cc", "return std::unique_ptr<A>(new A(1));"), 0u);
    EXPECT_EQ(count("src/map/a.cc", "unique_ptr<A> b; return std::span(new A(1));"), 1u);
    EXPECT_EQ(count("src/map/a.cc", "auto* a = ::new (place) A(1);"), 0u);
    EXPECT_EQ(count("src/map/a.cc", "auto* a = new (place) A(1); ::new A(1);"), 2u);
    EXPECT_EQ(count("include/braidway/map/a.h", "auto* a = new A(1);"), 1u);
    EXPECT_EQ(count("include/braidway/memory/a.h", "auto* a = new A(1);"), 0u);
    EXPECT_EQ(count("src/map/a.cc", "auto* a = malloc(4);"), 1u);
    EXPECT_EQ(count("src/map/a.cc", "co_await b();"), 1u);
    EXPECT_EQ(count("src/map/a.cc", "std::this_thread::sleep_for(1s);"), 1u);
    EXPECT_EQ(count("tests/map/a.cc", "std::this_thread::sleep_for(1s);"), 0u);
    EXPECT_EQ(count("tests/map/a.cc", "using namespace std;"), 1u);
    EXPECT_EQ(count("src/map/a.cc", "using namespace std::chrono_literals;"), 0u);
    EXPECT_EQ(count("src/map/a.cc", "std::fprintf(stderr, \"no\");"), 1u);
    EXPECT_EQ(count("src/apps/braidway/main.cc", "std::fprintf(stderr, \"no\");"), 0u);
    EXPECT_EQ(count("src/map/a.cc", "if (x) throw Y();"), 1u);
    EXPECT_EQ(count("src/map/a.cc", "text = strerror(errno);"), 1u);
    EXPECT_EQ(count("src/map/a.cc", "thread.detach();"), 1u);
    EXPECT_EQ(count("src/map/a.cc",
                    "pool.free(x); void free(int); clock::time(); // new rand()\n\"new\"; renew;"),
              0u);
}

TEST(Rules, TodosHaveReasons) {
    const auto count = [](std::string_view text) {
        return lines_with("src/a/b.cc", text, todo_without_reason).size();
    };
    EXPECT_EQ(count("// TODO: later\n"), 1u);
    EXPECT_EQ(count("// FIXME(it is broken): now\n"), 1u);
    EXPECT_EQ(count("// TODO(needs TLS first): answer STARTTLS\n"), 0u);
    EXPECT_EQ(count("const char* a = \"TODO\";\n"), 0u);
}

TEST(Rules, FilesNameTheirLicense) {
    const std::string license = "SPDX-License-Identifier: Apache-2.0\n";
    EXPECT_EQ(lines_with("a.cc", "int a;\n", missing_license).size(), 1u);
    EXPECT_EQ(lines_with("a.cc", "\n// " + license, missing_license).size(), 1u);
    EXPECT_TRUE(lines_with("a.cc", "// " + license, missing_license).empty());
    EXPECT_TRUE(lines_with("dev", "#!/bin/sh\n# " + license, missing_license).empty());
    EXPECT_TRUE(
        lines_with("a.h", "/* SPDX-License-Identifier: Apache-2.0 */\n", missing_license).empty());
}

TEST(Rules, HeadersHaveTheirForm) {
    EXPECT_EQ(lines_with("a.h", "// license\n#pragma once\n", header_form).size(), 1u);
    EXPECT_EQ(lines_with("a.h", "// license\n// What.\n", header_form).size(), 1u);
    EXPECT_TRUE(lines_with("a.h", "// license\n// What.\n#pragma once\n", header_form).empty());
    EXPECT_EQ(lines_with("include/braidway/sync/a.h", "// license\n", header_form).size(), 2u);
    EXPECT_TRUE(lines_with("include/braidway/c_header.h", "/* license */\n", header_form).empty());
}

TEST(Rules, PublicTypesAreExplained) {
    const auto count = [](std::string_view text) {
        return lines_with("src/a/b.h", text, public_type_without_comment).size();
    };
    EXPECT_EQ(count("namespace a {\nstruct B {\n};\n}\n"), 1u);
    EXPECT_EQ(count("namespace a {\n// What.\nenum class B { c };\n}\n"), 1u);
    EXPECT_EQ(count("namespace a {\n/// What.\ntemplate <typename T>\nclass B {\n"
                    "    struct Inner {\n    };\n};\nclass Later;\n}\n"),
              0u);
    EXPECT_EQ(lines_with("include/braidway/a/b.h", "struct B {\n};\n", public_type_without_comment)
                  .size(),
              1u);
}

TEST(Rules, UnitsHaveTests) {
    const std::string code = function_of(5);
    std::vector<SourceFile> all{{"src/a/b.cc", ""}, {"src/a/c.h", code}, {"src/a/d.h", "int d();"}};
    EXPECT_EQ(units_without_test(all, {}).size(), 2u);
    const std::array exempt{Exemption{"src/a/b.cc", "why"}, Exemption{"src/a/c.h", "why"}};
    EXPECT_TRUE(units_without_test(all, exempt).empty());
    all.push_back({"tests/a/b_test.cc", ""});
    EXPECT_EQ(units_without_test(all, exempt).size(), 1u) << "a needless exemption";
    const std::array gone{Exemption{"src/a/gone.cc", "why"}, exempt[1]};
    EXPECT_EQ(units_without_test(all, gone).size(), 1u) << "an exemption for nothing";
    all = {{"include/braidway/a/b.h", code}};
    EXPECT_EQ(units_without_test(all, {}).size(), 1u);
    all.push_back({"tests/a/b_test.cc", ""});
    EXPECT_TRUE(units_without_test(all, {}).empty());
}

TEST(Rules, HeadersAreIncludedBySomebodyElse) {
    std::vector<SourceFile> all{{"src/a/b.h", ""},
                                {"src/a/b.cc", "#include \"a/b.h\"\n"},
                                {"tests/a/b_test.cc", "#include \"a/b.h\"\n"}};
    EXPECT_EQ(headers_nobody_includes(all, {}).size(), 1u);
    const std::array exempt{Exemption{"src/a/b.h", "why"}};
    EXPECT_TRUE(headers_nobody_includes(all, exempt).empty());
    all.push_back({"src/c/d.cc", "#include \"a/b.h\"\n"});
    EXPECT_TRUE(headers_nobody_includes(all, {}).empty());
    EXPECT_EQ(headers_nobody_includes(all, exempt).size(), 1u);
    all = {{"include/braidway/a/b.h", ""},
           {"src/a/b.cc", "#include \"braidway/a/b.h\"\n"},
           {"src/c/d.cc", "#include \"a/b.h\"\n"}};
    EXPECT_EQ(headers_nobody_includes(all, {}).size(), 1u);
    all.push_back({"docs/examples/e.cc", "#include <braidway/a/b.h>\n"});
    EXPECT_TRUE(headers_nobody_includes(all, {}).empty());
}

TEST(Rules, SourcesAreListed) {
    const std::vector<SourceFile> all{{"tests/a/b_test.cc", ""},
                                      {"tests/a/c_test.cc", ""},
                                      {"fuzz/d_fuzz.cc", ""},
                                      {"fuzz/CMakeLists.txt", "braidway_fuzz(d_fuzz)"},
                                      {"docs/examples/e.cc", ""},
                                      {"docs/examples/CMakeLists.txt", "braidway_example(e)"},
                                      {"tests/a/CMakeLists.txt", "SOURCES b_test.cc"}};
    const Findings findings = sources_not_built(all);
    ASSERT_EQ(findings.size(), 1u);
    EXPECT_EQ(findings[0].path, "tests/a/c_test.cc");
}

}  // namespace
}  // namespace braidway::tidy
