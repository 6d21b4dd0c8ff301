#pragma once

#include <tenon/tenon.hpp>

using tenon::col;

struct User {
    tenon::id<User> id{};
    std::string email;

    static constexpr auto table = tenon::table("users", tenon::key<&User::id>, tenon::generated<&User::id>);
};

struct Role {
    tenon::id<Role> id{};
    std::string name;

    static constexpr auto table = tenon::table("roles", tenon::key<&Role::id>);
};
