// SPDX-License-Identifier: Apache-2.0
// Objects with locks, made in many ways: tests/apps/lockcheck/lock_types_test.cc asks for the types
// of them. What is said is NAME of the case, and the lock.
#include <pthread.h>

#include <array>
#include <cstdlib>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <vector>

extern "C" void say(const char* name, const void* lock);

#define FAR __attribute__((noinline))

namespace bank {

struct Account {
    long money = 0;
    std::mutex mutex;
};
struct Pair {
    long money = 0;
    std::mutex in, out;
};
struct Ledger {  // As big as an account, and alike.
    long lines = 0;
    std::mutex mutex;
};
struct Named {
    explicit Named(int n) : name(n) {}
    int name;
    long more[4] = {};
    std::mutex mutex;
};
struct Destroyed {
    ~Destroyed() { say("", nullptr); }
    long money[7] = {};
    std::mutex mutex;
};
template <class T>
struct Guarded {
    T value{};
    std::mutex mutex;
};
struct Savings : Named {
    Savings() : Named(1) {}
    long interest = 0;
};
struct Virtual {
    virtual ~Virtual() = default;
    std::mutex mutex;
    long money[11] = {};
};
struct Heir : Virtual {
    long more = 0;
};
class Lock {
  public:
    Lock() { pthread_mutex_init(&mutex_, nullptr); }
    void lock() { pthread_mutex_lock(&mutex_); }
    void unlock() { pthread_mutex_unlock(&mutex_); }

  private:
    pthread_mutex_t mutex_;
};
struct Engine {
    int power = 0;
    Lock lock;
};
struct Window {
    Lock lock;
    long width = 0;
};
struct Slot {
    std::mutex mutex;
    int number = 0;
};
struct Table {
    long rows = 0;
    Slot slots[4];
    std::mutex stripes[3];
};
struct Twins {
    Slot left, right;
    long more = 0;
};
struct Vault {
    long doors = 0;
    struct {
        long keys = 0;
        std::mutex guard;
    } inner;
    long more[20] = {};
};
union Either {
    pthread_mutex_t mutex;
    long words[9];
};
struct Maker {
    static FAR Maker* create() { return new Maker; }
    std::mutex mutex;
    long more[13] = {};
};
struct Called {
    FAR Called() { pthread_mutex_init(&mutex, nullptr); }
    long more[17] = {};
    pthread_mutex_t mutex;
};

Account account, accounts[3];
std::array<Account, 3> array_of_accounts;
std::pair<int, Account> pair_of_account;
std::mutex bare, bares[3];
Guarded<int> guarded;
Engine engine;
Window window;
Table table;
Twins twins;
Vault vault;
Either either;
Lock lock_object;
struct Holder {
    static inline Account member;
};

Account *stored, *others[4];
Ledger* stored_ledger;
FAR Account* make_here() {
    auto* made = new Account;
    return made;
}
FAR void make_there() {
    stored = new Account();
}
FAR Account* make_returned() {
    return new Account;
}
FAR Named* make_named(int n) {
    return new Named(n);
}
FAR void make_two() {  // Both in one function.
    Account* a = new Account;
    Ledger* b = new Ledger;
    say("two_a", &a->mutex);
    say("two_b", &b->mutex);
}
FAR void make_stored_two() {
    stored = new Account;
    stored_ledger = new Ledger;
}
FAR void make_in_loop() {
    for (Account*& each : others) each = new Account;
}
template <class T>
FAR T* make_any() {
    return new T();
}
FAR void* take(size_t bytes) {
    return std::malloc(bytes);
}
FAR void make_placed() {
    auto* a = new (take(sizeof(Account))) Account;
    say("placed", &a->mutex);
}
FAR void make_arena() {
    char* arena = static_cast<char*>(take(sizeof(Account)));
    say("arena", arena + 8);
}

void say_static() {
    static Account local;
    say("static", &account.mutex);
    say("static_array", &accounts[2].mutex);
    say("static_std_array", &array_of_accounts[1].mutex);
    say("static_pair", &pair_of_account.second.mutex);
    say("static_local", &local.mutex);
    say("static_member", &Holder::member.mutex);
    say("static_bare", &bare);
    say("static_bares", &bares[1]);
    say("static_template", &guarded.mutex);
    say("static_wrapped", &engine.lock);
    say("static_wrapped_2", &window.lock);
    say("static_slot", &table.slots[3].mutex);
    say("static_stripe", &table.stripes[2]);
    say("static_twin", &twins.right.mutex);
    say("static_inner", &vault.inner.guard);
    say("static_union", &either);
    say("static_lock", &lock_object);
}

void say_new() {
    say("here", &make_here()->mutex);
    make_there();
    say("there", &stored->mutex);
    say("returned", &make_returned()->mutex);
    say("named", &make_named(3)->mutex);
    make_stored_two();
    say("stored_a", &stored->mutex);
    say("stored_b", &stored_ledger->mutex);
    make_two();
    make_in_loop();
    say("loop", &others[2]->mutex);
    say("factory", &make_any<Account>()->mutex);
    say("maker", &Maker::create()->mutex);
    auto* called = new Called;
    say("called", &called->mutex);
    make_placed();
    make_arena();
    auto* in_array = new Account[4];
    say("new_array", &in_array[2].mutex);
    auto* destroyed = new Destroyed[3];
    say("new_array_destroyed", &destroyed[1].mutex);
    auto* mutexes = new std::mutex[6];
    say("new_bares", &mutexes[5]);
    auto* mutex = new std::mutex;
    say("new_bare", mutex);
    auto* savings = new Savings;
    say("derived", &savings->mutex);
    Virtual* heir = new Heir;
    say("heir", &heir->mutex);
    auto* made = new Engine;
    say("wrapped", &made->lock);
    auto* pair = new Pair;
    say("pair_in", &pair->in);
    say("pair_out", &pair->out);
    auto* made_table = new Table;
    say("slot", &made_table->slots[1].mutex);
}

void say_library() {
    auto unique = std::make_unique<Account>();
    say("make_unique", &unique->mutex);
    auto unique_array = std::make_unique<Account[]>(3);
    say("make_unique_array", &unique_array[2].mutex);
    auto shared = std::make_shared<Account>();
    say("make_shared", &shared->mutex);
    auto shared_bare = std::make_shared<std::mutex>();
    say("make_shared_bare", shared_bare.get());
    std::unique_ptr<Account> reset(new Account);
    say("unique", &reset->mutex);
    std::vector<Account> vector(5);
    say("vector", &vector[3].mutex);
    std::vector<std::mutex> mutexes(5);
    say("vector_bare", &mutexes[3]);
    std::deque<Account> deque(2);
    say("deque", &deque[1].mutex);
    std::list<Account> list(1);
    say("list", &list.front().mutex);
    std::map<int, Account> map;
    say("map", &map[1].mutex);
    std::unordered_map<int, Account> hash;
    say("unordered_map", &hash[1].mutex);
    std::vector<std::unique_ptr<Account>> pointers;
    pointers.push_back(std::make_unique<Account>());
    say("vector_of_unique", &pointers[0]->mutex);
    pointers.emplace_back(new Account);
    say("emplaced", &pointers[1]->mutex);
}

}  // namespace bank

int main() {
    bank::say_static();
    bank::say_new();
    bank::say_library();
}
