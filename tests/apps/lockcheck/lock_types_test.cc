// SPDX-License-Identifier: Apache-2.0
// Small programs that make objects in many ways, compiled for this in several ways: they say how
// each lock was made, and this asks for the types.
#include "apps/lockcheck/lock_types.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <sstream>

#include "apps/lockcheck/files.h"
#include "apps/lockcheck/folder.h"
#include "base/clock.h"

namespace braidway::lockcheck {
namespace {

using namespace std::chrono_literals;

const std::string sources = LOCKCHECK_TEST_SOURCES;
constexpr uint64_t mutex_bytes = 40;
constexpr uint64_t rwlock_bytes = 56;

/// "bank::Account::mutex", without the place of the declaration.
std::string short_name(const std::string& identity) {
    const size_t begin = identity.find(" (");
    const size_t end = identity.find(")::", begin);
    if (begin == std::string::npos || end == std::string::npos) return identity;
    return identity.substr(0, begin) + identity.substr(end + 1);
}

/// One of the programs: the locks that it made, by their names.
class Program {
  public:
    Program(const std::string& compiler, const std::string& options, const std::string& source)
        : program_(folder_.path("typed")) {
        const std::string output = folder_.path("makings");
        const std::string recorder = folder_.path("recorder.o");
        const std::string command = "gcc -O1 -c -o " + recorder + " " + sources +
                                    "/making_recorder.c && " + compiler + " " + options + " -o " +
                                    program_ + " " + sources + "/" + source + " " + recorder +
                                    " && " + program_ + " >" + output;
        built_ = std::system(command.c_str()) == 0;
        std::istringstream lines(*read_file(output, 1'000'000));
        for (std::string line; std::getline(lines, line);) read(line);
    }
    bool built() const { return built_ && !origins_.empty(); }
    const std::string& path() const { return program_; }
    const std::map<std::string, LockOrigin>& origins() const { return origins_; }

  private:
    void read(const std::string& line) {
        std::istringstream words(line);
        std::string name;
        std::string how;
        LockOrigin origin;
        origin.lock_bytes = mutex_bytes;
        words >> name >> origin.place;
        if (name.ends_with("rwlock")) origin.lock_bytes = rwlock_bytes;
        if (origin.place == "static") {
            origin.module = program_;
            words >> std::hex >> origin.address;
        } else {
            words >> how >> origin.block_bytes >> origin.offset_bytes;
            origin.initialised = how == "init";
            Frame frame;
            frame.module = program_;
            for (uint64_t address = 0; words >> std::hex >> address;) {
                frame.offset = frame.address = address;
                origin.made.push_back(frame);
            }
        }
        origins_[name] = origin;
    }

    Folder folder_;
    std::string program_;
    bool built_ = false;
    std::map<std::string, LockOrigin> origins_;
};

/// What is right for each lock; what is missing here is to have no type.
using Answers = std::map<std::string, std::string>;

const Answers of_cpp{
    {"called", "bank::Called::mutex"},
    {"deque", "bank::Account::mutex"},
    {"derived", "bank::Named::mutex"},
    {"emplaced", "bank::Account::mutex"},
    {"factory", "bank::Account::mutex"},
    {"heir", "bank::Virtual::mutex"},
    {"here", "bank::Account::mutex"},
    {"list", "bank::Account::mutex"},
    {"loop", "bank::Account::mutex"},
    {"make_shared", "bank::Account::mutex"},
    {"make_unique", "bank::Account::mutex"},
    {"make_unique_array", "bank::Account::mutex"},
    {"maker", "bank::Maker::mutex"},
    {"map", "bank::Account::mutex"},
    {"named", "bank::Named::mutex"},
    {"new_array", "bank::Account::mutex"},
    {"new_array_destroyed", "bank::Destroyed::mutex"},
    {"pair_in", "bank::Pair::in"},
    {"pair_out", "bank::Pair::out"},
    {"placed", "bank::Account::mutex"},
    {"returned", "bank::Account::mutex"},
    {"slot", "bank::Slot::mutex"},
    {"static", "bank::Account::mutex"},
    {"static_array", "bank::Account::mutex"},
    {"static_inner", "bank::Vault::inner.guard"},
    {"static_local", "bank::Account::mutex"},
    {"static_member", "bank::Account::mutex"},
    {"static_pair", "bank::Account::mutex"},
    {"static_slot", "bank::Slot::mutex"},
    {"static_std_array", "bank::Account::mutex"},
    {"static_stripe", "bank::Table::stripes[2]"},
    {"static_template", "bank::Guarded<int>::mutex"},
    {"static_twin", "bank::Twins::right.mutex"},
    {"static_wrapped", "bank::Engine::lock.mutex_"},
    {"static_wrapped_2", "bank::Window::lock.mutex_"},
    {"stored_a", "bank::Account::mutex"},
    {"stored_b", "bank::Ledger::mutex"},
    {"there", "bank::Account::mutex"},
    {"two_a", "bank::Account::mutex"},
    {"two_b", "bank::Ledger::mutex"},
    {"unique", "bank::Account::mutex"},
    {"unordered_map", "bank::Account::mutex"},
    {"vector", "bank::Account::mutex"},
    {"vector_of_unique", "bank::Account::mutex"},
    {"wrapped", "bank::Engine::lock.mutex_"},
};
const Answers of_c{
    {"beside_other", "client::mutex"},
    {"calloc", "account::mutex"},
    {"init", "account::mutex"},
    {"init_array", "account::mutex"},
    {"init_by_function", "account::mutex"},
    {"init_in", "twice::in"},
    {"init_local_by_function", "account::mutex"},
    {"init_my_lock", "printer::lock.mutex"},
    {"init_out", "twice::out"},
    {"lonely", "lonely::mutex"},
    {"malloc", "account::mutex"},
    {"returned", "client::mutex"},
    {"returns_other", "client::mutex"},
    {"static", "account::mutex"},
    {"static_array", "account::mutex"},
    {"static_rwlock", "(anonymous)::lock"},
    {"static_wrapped", "printer::lock.mutex"},
    {"stored_client", "client::mutex"},
    {"stored_server", "server::mutex"},
    {"xmalloc_first", "first::mutex"},
    {"xmalloc_second", "second::mutex"},
};

/// Nothing wrong is said; returns how many were known.
size_t expect_nothing_wrong(const Program& program, const Answers& right,
                            const std::string& options) {
    LockTypes types(monotonic_now() + 60s);
    size_t known = 0;
    for (const auto& [name, origin] : program.origins()) {
        const std::string found = short_name(types.type_of(origin));
        const auto expected = right.find(name);
        if (expected == right.end()) {
            EXPECT_EQ(found, "") << name << " with " << options;
            continue;
        }
        if (!found.empty()) {
            EXPECT_EQ(found, expected->second) << name << " with " << options;
            ++known;
        }
    }
    return known;
}

void expect_types(const std::string& compiler, const std::string& options,
                  const std::string& source, const Answers& right, size_t known_min) {
    const Program program(compiler, options, source);
    ASSERT_TRUE(program.built()) << compiler << " " << options;
    EXPECT_GE(expect_nothing_wrong(program, right, compiler + " " + options), known_min)
        << compiler << " " << options;
}

TEST(LockTypes, OfCppAreFoundByWhatMadeTheObjects) {
    for (const char* options : {"-g -O0", "-g -O1", "-g -O2"})
        expect_types("g++ -std=c++20", options, "typed_locks.cc", of_cpp, of_cpp.size());
}

// The last call of a function leaves none of it in the stack: -foptimize-sibling-calls. And where
// one function was folded into another (-fipa-icf), others that look alike are doubted, too.
TEST(LockTypes, OfCAreFoundByWhatMadeTheObjects) {
    for (const char* options : {"-g -O0", "-g -O1"})
        expect_types("gcc", options, "typed_locks.c", of_c, of_c.size());
    expect_types("gcc", "-g -O2", "typed_locks.c", of_c, of_c.size() - 5);
}

TEST(LockTypes, OfOtherFormsOfDebugInformationAreNeverWrong) {
    expect_types("gcc", "-gdwarf-4 -O1", "typed_locks.c", of_c, of_c.size() - 4);
    expect_types("g++ -std=c++20", "-g1 -O1", "typed_locks.cc", of_cpp, 0);
    expect_types("g++ -std=c++20", "-g -O2 -gsplit-dwarf", "typed_locks.cc", of_cpp, 0);
}

TEST(LockTypes, OfClangAreFoundToo) {
    if (std::system("command -v clang++-19 >/dev/null") != 0)
        GTEST_SKIP() << "there is no clang++-19";
    for (const char* options : {"-g -O0", "-g -O2"})
        expect_types("clang++-19 -std=c++20", options, "typed_locks.cc", of_cpp,
                     of_cpp.size() * 2 / 3);
}

TEST(LockTypes, AreNotKnownWithoutDebugInformationOrTime) {
    const Program stripped("gcc", "-O1", "typed_locks.c");
    ASSERT_TRUE(stripped.built());
    EXPECT_EQ(expect_nothing_wrong(stripped, of_c, "-O1"), 0U);

    const Program program("gcc", "-g -O1", "typed_locks.c");
    ASSERT_TRUE(program.built());
    LockTypes late(monotonic_now() - 1s);
    for (const auto& [name, origin] : program.origins()) EXPECT_EQ(late.type_of(origin), "");
}

TEST(LockTypes, AreNotKnownOfPlacesThatAreNone) {
    const Program program("gcc", "-g -O1", "typed_locks.c");
    ASSERT_TRUE(program.built());
    LockTypes types(monotonic_now() + 60s);
    LockOrigin origin = program.origins().at("static");
    origin.address += uint64_t{1} << 40;
    EXPECT_EQ(types.type_of(origin), "");
    origin.module = "/no/such/file";
    EXPECT_EQ(types.type_of(origin), "");
    LockOrigin made = program.origins().at("malloc");
    for (Frame& frame : made.made) frame.offset = *frame.offset + (uint64_t{1} << 40);
    EXPECT_EQ(types.type_of(made), "");
    made.made.clear();
    EXPECT_EQ(types.type_of(made), "");
}

}  // namespace
}  // namespace braidway::lockcheck
