// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/static_objects.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>

#include "apps/lockcheck/folder.h"

extern "C" {
extern pthread_mutex_t lock_with_a_name;
pthread_mutex_t lock_with_a_name = PTHREAD_MUTEX_INITIALIZER;
extern pthread_mutex_t locks_with_a_name[5];
pthread_mutex_t locks_with_a_name[5];
}

namespace braidway::lockcheck {
namespace {

pthread_mutex_t hidden_lock;

TEST(StaticObjects, HaveTheNameAndSizeOfTheirSymbol) {
    StaticObject object;
    ASSERT_TRUE(find_static_object(&lock_with_a_name, object));
    EXPECT_STREQ(object.name, "lock_with_a_name");
    EXPECT_EQ(object.begin, reinterpret_cast<uintptr_t>(&lock_with_a_name));
    EXPECT_EQ(object.bytes, sizeof(pthread_mutex_t));

    ASSERT_TRUE(find_static_object(&locks_with_a_name[3], object));
    EXPECT_STREQ(object.name, "locks_with_a_name");
    EXPECT_EQ(object.begin, reinterpret_cast<uintptr_t>(&locks_with_a_name[0]));
    EXPECT_EQ(object.bytes, sizeof locks_with_a_name);
}

TEST(StaticObjects, OfOneFileOnlyAreFoundToo) {
    StaticObject object;
    ASSERT_TRUE(find_static_object(&hidden_lock, object));
    EXPECT_NE(std::string(object.name).find("hidden_lock"), std::string::npos) << object.name;
}

TEST(StaticObjects, OfStrippedLibrariesAreFoundByTheirExportedNames) {
    StaticObject object;
    ASSERT_TRUE(find_static_object(&stdout, object));
    ASSERT_TRUE(find_static_object(stdout, object)) << "in the C library";
    EXPECT_STREQ(object.name, "_IO_2_1_stdout_");
}

TEST(StaticObjects, AreNotOnTheHeapOrStack) {
    StaticObject object;
    int local = 0;
    EXPECT_FALSE(find_static_object(&local, object));
    void* const block = std::malloc(100);
    EXPECT_FALSE(find_static_object(block, object));
    EXPECT_FALSE(is_in_module(reinterpret_cast<uintptr_t>(block)));
    std::free(block);
}

TEST(StaticObjects, OfALibraryWhoseFileIsAnotherOneNowHaveNoName) {
    const std::filesystem::path copy =
        std::filesystem::temp_directory_path() / ("lockcheck-" + std::to_string(getpid()) + ".so");
    std::filesystem::copy_file(BRAIDWAY_LIBRARY_WITH_LOCK, copy);
    void* const library = dlopen(copy.c_str(), RTLD_NOW);
    ASSERT_NE(library, nullptr) << dlerror();
    void* const lock = dlsym(library, "lock_of_library");
    std::filesystem::remove(copy);
    std::filesystem::copy_file("/proc/self/exe", copy);
    StaticObject object;
    EXPECT_TRUE(find_static_object(lock, object));
    EXPECT_EQ(object.name, nullptr);
    std::filesystem::remove(copy);
    dlclose(library);
}

/// A function of the C++ library's headers that is in this program: which runs as a wrapper.
struct ReturnAddress {
    uintptr_t* place;
    __attribute__((noinline)) void operator()() const {
        *place = reinterpret_cast<uintptr_t>(__builtin_return_address(0));
    }
};

TEST(StaticObjects, TellWrappersFromTheProgram) {
    const auto here = reinterpret_cast<uintptr_t>(
        [] __attribute__((noinline)) { return __builtin_return_address(0); }());
    EXPECT_FALSE(is_wrapper_code(here));
    const auto in_c_library = reinterpret_cast<uintptr_t>(&::atoi) + 2;
    EXPECT_TRUE(is_wrapper_code(in_c_library));
    EXPECT_FALSE(is_wrapper_code(1000));
    // Any symbol of namespace std that is a function of this program.
    const auto instance = reinterpret_cast<uintptr_t>(&std::invoke<ReturnAddress>) + 1;
    EXPECT_TRUE(is_wrapper_code(instance));
}

TEST(LoadedModules, AreTheOnesWithLocksThatWentAway) {
    void* const library = dlopen(BRAIDWAY_LIBRARY_WITH_LOCK, RTLD_NOW);
    ASSERT_NE(library, nullptr) << dlerror();
    void* const lock = dlsym(library, "lock_of_library");
    StaticObject object;
    ASSERT_TRUE(find_static_object(lock, object));
    const LoadedModules before;
    size_t gone = 0;
    before.tell_gone([&](uintptr_t, uintptr_t) { ++gone; });
    EXPECT_EQ(gone, 0u);
    dlclose(library);
    const auto address = reinterpret_cast<uintptr_t>(lock);
    before.tell_gone([&](uintptr_t begin, uintptr_t end) {
        ++gone;
        EXPECT_TRUE(address >= begin && address < end);
    });
    EXPECT_GE(gone, 1u) << "a library that was there before by another name is told of, too";
}

/// Libraries with one lock in each, made by a compiler and what changes their debug information.
class DebugInformation : public testing::Test {
  protected:
    DebugInformation() {
        std::ofstream(folder_.path("lock.c"))
            << "#include <pthread.h>\npthread_mutex_t lock_of_library;\n";
    }

    /// Runs this in the folder, with `l.so` made by `options`; then: may types be known in it?
    bool may_know_types_of(const std::string& options, const std::string& commands = "true") {
        const std::string library = folder_.path("l" + std::to_string(++made_) + ".so");
        const std::string all = "cd " + folder_.path("") + " && gcc -shared -fPIC " + options +
                                " -o l.so lock.c && " + commands + " && mv l.so " + library;
        EXPECT_EQ(std::system(all.c_str()), 0) << all;
        void* const opened = dlopen(library.c_str(), RTLD_NOW);
        EXPECT_NE(opened, nullptr) << library;
        if (opened == nullptr) return false;
        const auto lock = reinterpret_cast<uintptr_t>(dlsym(opened, "lock_of_library"));
        const bool may_know = may_know_types(lock);
        dlclose(opened);
        return may_know;
    }

    Folder folder_;

  private:
    int made_ = 0;
};

TEST_F(DebugInformation, IsInTheFileOrNot) {
    EXPECT_TRUE(may_know_types_of("-g"));
    EXPECT_FALSE(may_know_types_of("-g0"));
    EXPECT_FALSE(may_know_types_of("-g", "strip l.so"));
    EXPECT_FALSE(may_know_types_of("-g -s"));
}

TEST_F(DebugInformation, MayBeInAFileOfItsOwnBesideOrBelow) {
    const std::string apart =
        "objcopy --only-keep-debug l.so l.debug && strip l.so && "
        "objcopy --add-gnu-debuglink=l.debug l.so";
    EXPECT_TRUE(may_know_types_of("-g", apart)) << "beside it";
    EXPECT_TRUE(may_know_types_of("-g", apart + " && mkdir .debug && mv l.debug .debug/"));
    EXPECT_FALSE(may_know_types_of("-g", apart + " && rm -r l.debug .debug")) << "gone";
}

TEST_F(DebugInformation, MayBeInstalledByTheBuildId) {
    const std::filesystem::path installed = "/usr/lib/debug/.build-id";
    std::error_code none;
    std::string id;
    for (const auto& each : std::filesystem::recursive_directory_iterator(installed, none)) {
        if (each.path().extension() != ".debug") continue;
        id = each.path().parent_path().filename().string() + each.path().stem().string();
        break;
    }
    if (id.empty()) GTEST_SKIP() << "no debug information is installed in " << installed;
    EXPECT_TRUE(may_know_types_of("-g0 -Wl,--build-id=0x" + id));
    id.back() = id.back() == '0' ? '1' : '0';
    EXPECT_FALSE(may_know_types_of("-g0 -Wl,--build-id=0x" + id)) << "of another library";
}

TEST(MayKnowTypes, IsForAddressesInModulesOnly) {
    int local = 0;
    EXPECT_FALSE(may_know_types(reinterpret_cast<uintptr_t>(&local)));
    EXPECT_FALSE(may_know_types(8));
    EXPECT_FALSE(may_know_types(reinterpret_cast<uintptr_t>(stdout)))
        << "of the C library's no types are asked for";
}

}  // namespace
}  // namespace braidway::lockcheck
