// What each transaction of the session's checker should have stored, and whether it has.
//
// A transaction has a number, from 1, and stores rows (number, step). One thread plays a number and says once how it
// ended; any thread may compare meanwhile.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include <tenon/tenon.hpp>

namespace torture {

struct Entry {
    std::int64_t txn{};
    std::int32_t step{};
    std::string note{}; // what the table's trigger does: see create_tables

    static constexpr auto table = tenon::table("torture_entry", tenon::key<&Entry::txn, &Entry::step>);
};

struct Journal {
    std::int64_t txn{};
    std::int32_t step{};

    static constexpr auto table = tenon::table("torture_journal", tenon::key<&Journal::txn, &Journal::step>);
};

/// To be read only: ids from 1 to source_rows.
struct Source {
    std::int64_t id{};
    std::string filler{};

    static constexpr auto table = tenon::table("torture_source", tenon::key<&Source::id>);
};
inline constexpr std::int64_t source_rows = 3000;

/// The same as a view that takes a millisecond for each row.
struct SlowSource {
    std::int64_t id{};
    std::string filler{};

    static constexpr auto table = tenon::table("torture_slow_source", tenon::key<&SlowSource::id>);
};

/// A note "notice500" makes the server say a notice of 500 bytes, "slow0.01" makes the row take 10 ms.
void create_tables(tenon::connection& on);

class session_model {
public:
    explicit session_model(std::int64_t transactions) : ends_(static_cast<std::size_t>(transactions) + 1) {}

    enum class fate : std::uint8_t {
        open,
        stored,  ///< all of its rows
        nothing, ///< none of them
        either,  ///< all or none: its outcome could not be found out
    };
    void ended(std::int64_t number, fate how, std::vector<std::int32_t> steps);

    /// The number up to which all have ended.
    [[nodiscard]] std::int64_t ended_up_to() noexcept;

    struct difference {
        std::vector<std::string> missing{};  ///< a sentence for each transaction that lacks what it committed
        std::vector<std::string> unwanted{}; ///< and for each that stored what it should not have
    };
    /// Compares the transactions from `first` to `last`, which have ended, with the tables, and tells what it has not
    /// told before. By one thread.
    [[nodiscard]] difference compare(tenon::connection& on, std::int64_t first, std::int64_t last);

    [[nodiscard]] std::int64_t count(fate how) const;

private:
    struct end {
        std::atomic<fate> how{fate::open};
        std::vector<std::int32_t> steps{}; // ascending
        bool told = false;                 // that it differs
    };
    std::vector<end> ends_; // by number
    std::int64_t ended_up_to_ = 0;
};

} // namespace torture
