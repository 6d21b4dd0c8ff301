// What a program pays for tenon: the umbrella header and ten mapped records of ten fields, each stored and found.
#include <tenon/tenon.hpp>

struct Record0 {
    tenon::id<Record0> id{};
    tenon::uuid token{};
    std::string name;
    std::string title;
    bool active{};
    double score{};
    std::int32_t rank{};
    tenon::timestamp created_at{};
    std::optional<tenon::timestamp> seen_at{};
    std::optional<std::string> note{};

    static constexpr auto table =
        tenon::table("record_0", tenon::key<&Record0::id>, tenon::generated<&Record0::id, &Record0::created_at>);
};

struct Record1 {
    tenon::id<Record1> id{};
    tenon::uuid token{};
    std::string name;
    std::string title;
    bool active{};
    double score{};
    std::int32_t rank{};
    tenon::timestamp created_at{};
    std::optional<tenon::timestamp> seen_at{};
    std::optional<std::string> note{};

    static constexpr auto table =
        tenon::table("record_1", tenon::key<&Record1::id>, tenon::generated<&Record1::id, &Record1::created_at>);
};

struct Record2 {
    tenon::id<Record2> id{};
    tenon::uuid token{};
    std::string name;
    std::string title;
    bool active{};
    double score{};
    std::int32_t rank{};
    tenon::timestamp created_at{};
    std::optional<tenon::timestamp> seen_at{};
    std::optional<std::string> note{};

    static constexpr auto table =
        tenon::table("record_2", tenon::key<&Record2::id>, tenon::generated<&Record2::id, &Record2::created_at>);
};

struct Record3 {
    tenon::id<Record3> id{};
    tenon::uuid token{};
    std::string name;
    std::string title;
    bool active{};
    double score{};
    std::int32_t rank{};
    tenon::timestamp created_at{};
    std::optional<tenon::timestamp> seen_at{};
    std::optional<std::string> note{};

    static constexpr auto table =
        tenon::table("record_3", tenon::key<&Record3::id>, tenon::generated<&Record3::id, &Record3::created_at>);
};

struct Record4 {
    tenon::id<Record4> id{};
    tenon::uuid token{};
    std::string name;
    std::string title;
    bool active{};
    double score{};
    std::int32_t rank{};
    tenon::timestamp created_at{};
    std::optional<tenon::timestamp> seen_at{};
    std::optional<std::string> note{};

    static constexpr auto table =
        tenon::table("record_4", tenon::key<&Record4::id>, tenon::generated<&Record4::id, &Record4::created_at>);
};

struct Record5 {
    tenon::id<Record5> id{};
    tenon::uuid token{};
    std::string name;
    std::string title;
    bool active{};
    double score{};
    std::int32_t rank{};
    tenon::timestamp created_at{};
    std::optional<tenon::timestamp> seen_at{};
    std::optional<std::string> note{};

    static constexpr auto table =
        tenon::table("record_5", tenon::key<&Record5::id>, tenon::generated<&Record5::id, &Record5::created_at>);
};

struct Record6 {
    tenon::id<Record6> id{};
    tenon::uuid token{};
    std::string name;
    std::string title;
    bool active{};
    double score{};
    std::int32_t rank{};
    tenon::timestamp created_at{};
    std::optional<tenon::timestamp> seen_at{};
    std::optional<std::string> note{};

    static constexpr auto table =
        tenon::table("record_6", tenon::key<&Record6::id>, tenon::generated<&Record6::id, &Record6::created_at>);
};

struct Record7 {
    tenon::id<Record7> id{};
    tenon::uuid token{};
    std::string name;
    std::string title;
    bool active{};
    double score{};
    std::int32_t rank{};
    tenon::timestamp created_at{};
    std::optional<tenon::timestamp> seen_at{};
    std::optional<std::string> note{};

    static constexpr auto table =
        tenon::table("record_7", tenon::key<&Record7::id>, tenon::generated<&Record7::id, &Record7::created_at>);
};

struct Record8 {
    tenon::id<Record8> id{};
    tenon::uuid token{};
    std::string name;
    std::string title;
    bool active{};
    double score{};
    std::int32_t rank{};
    tenon::timestamp created_at{};
    std::optional<tenon::timestamp> seen_at{};
    std::optional<std::string> note{};

    static constexpr auto table =
        tenon::table("record_8", tenon::key<&Record8::id>, tenon::generated<&Record8::id, &Record8::created_at>);
};

struct Record9 {
    tenon::id<Record9> id{};
    tenon::uuid token{};
    std::string name;
    std::string title;
    bool active{};
    double score{};
    std::int32_t rank{};
    tenon::timestamp created_at{};
    std::optional<tenon::timestamp> seen_at{};
    std::optional<std::string> note{};

    static constexpr auto table =
        tenon::table("record_9", tenon::key<&Record9::id>, tenon::generated<&Record9::id, &Record9::created_at>);
};

template <class R>
R store_and_find(tenon::transaction& tx) {
    tenon::repository<R> rows{tx};
    const R stored = rows.insert({.name = "a", .title = "b"});
    return rows.get(stored.id);
}

void use(tenon::transaction& tx) {
    (void)store_and_find<Record0>(tx);
    (void)store_and_find<Record1>(tx);
    (void)store_and_find<Record2>(tx);
    (void)store_and_find<Record3>(tx);
    (void)store_and_find<Record4>(tx);
    (void)store_and_find<Record5>(tx);
    (void)store_and_find<Record6>(tx);
    (void)store_and_find<Record7>(tx);
    (void)store_and_find<Record8>(tx);
    (void)store_and_find<Record9>(tx);
}
