#include "session_model.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

namespace torture {
namespace {

using steps = std::vector<std::int32_t>;

constexpr tenon::query<std::tuple<std::int64_t, steps>, std::int64_t, std::int64_t> stored_steps{
    "select txn, array_agg(step order by step) from"
    " (select txn, step from torture_entry union all select txn, step from torture_journal) both_tables"
    " where txn between $1 and $2 group by txn"};

// What is in `these` and not in `those`.
steps without(const steps& these, const steps& those) {
    steps rest;
    std::ranges::set_difference(these, those, std::back_inserter(rest));
    return rest;
}

std::string sentence(std::int64_t number, const char* what, const steps& which) {
    std::string text = "transaction " + std::to_string(number) + ": " + std::to_string(which.size()) + what + ", step";
    for (std::size_t i = 0; i < std::min<std::size_t>(which.size(), 8); ++i)
        text += ' ' + std::to_string(which[i]);
    return text;
}

} // namespace

void create_tables(tenon::connection& on) {
    on.transact([](tenon::transaction& tx) {
        tx.execute("create table torture_entry (txn bigint, step integer, note text not null, primary key (txn, step));"
                   "create table torture_journal (txn bigint, step integer, primary key (txn, step));"
                   "create table torture_source (id bigint primary key, filler text not null);"
                   "insert into torture_source select i, repeat('x', 100) from generate_series(1, " +
                   std::to_string(source_rows) +
                   ") i;"
                   "create view torture_slow_source as"
                   " select id, filler from torture_source where pg_sleep(0.001) is not null;"
                   "create function torture_act() returns trigger language plpgsql as $$ begin"
                   "  if new.note like 'notice%' then"
                   "    raise notice '%', repeat('n', substring(new.note from '^notice([0-9]+)')::integer);"
                   "  else"
                   "    perform pg_sleep(substring(new.note from '^slow([0-9.]+)')::double precision);"
                   "  end if;"
                   "  return new;"
                   " end $$;"
                   "create trigger torture_act before insert on torture_entry for each row"
                   " when (new.note <> '') execute function torture_act()");
    });
}

void session_model::ended(std::int64_t number, fate how, std::vector<std::int32_t> steps) {
    end& one = ends_[static_cast<std::size_t>(number)];
    std::ranges::sort(steps);
    one.steps = std::move(steps);
    one.how.store(how, std::memory_order_release);
}

std::int64_t session_model::ended_up_to() noexcept {
    const auto next = [&] { return static_cast<std::size_t>(ended_up_to_) + 1; };
    while (next() < ends_.size() && ends_[next()].how.load(std::memory_order_acquire) != fate::open)
        ++ended_up_to_;
    return ended_up_to_;
}

session_model::difference session_model::compare(tenon::connection& on, std::int64_t first, std::int64_t last) {
    constexpr std::int64_t at_once = 5000;
    static const steps none;
    difference found;
    for (std::int64_t from = first; from <= last; from += at_once) {
        const std::int64_t to = std::min(last, from + at_once - 1);
        std::vector<steps> tables(static_cast<std::size_t>(to - from) + 1);
        for (auto& [number, stored] :
             on.transact([&](tenon::transaction& tx) { return stored_steps.all(tx, from, to); }))
            tables[static_cast<std::size_t>(number - from)] = std::move(stored);
        for (std::int64_t number = from; number <= to; ++number) {
            end& one = ends_[static_cast<std::size_t>(number)];
            if (one.told)
                continue;
            const steps& stored = tables[static_cast<std::size_t>(number - from)];
            const fate how = one.how.load(std::memory_order_acquire);
            const bool wanted = how == fate::stored || (how == fate::either && !stored.empty());
            const steps& expected = wanted ? one.steps : none;
            one.told = stored != expected;
            if (const steps lost = without(expected, stored); !lost.empty())
                found.missing.push_back(sentence(number, " rows are missing", lost));
            if (const steps more = without(stored, expected); !more.empty())
                found.unwanted.push_back(sentence(number, " rows should not be stored", more));
        }
    }
    return found;
}

std::int64_t session_model::count(fate how) const {
    return std::ranges::count_if(ends_, [how](const end& one) { return one.how.load() == how; });
}

} // namespace torture
