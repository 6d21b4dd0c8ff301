// Values on their way into a statement: always beside the SQL, never inside it.
//
// Holds the binary form of each value in the order $1, $2, ... Strings and byte vectors are not copied:
// they must live until the statement has been executed. One owner; not for sharing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <tenon/codec/buffer.hpp>
#include <tenon/codec/codec.hpp>
#include <tenon/codec/detail/server_type.hpp>
#include <tenon/codec/optional.hpp>

namespace tenon {

/// The values of one statement; `parameter_list` provides the room.
class parameters {
public:
    parameters(const parameters&) = delete;
    parameters& operator=(const parameters&) = delete;

    /// Appends one value. Throws encode_error when it has no form in PostgreSQL.
    template <column_value T>
    void add(const T& value) {
        if constexpr (detail::not_null<T>::nullable) {
            if (value)
                add(*value);
            else
                push(nullptr, 0);
        } else if constexpr (requires { codec<T>::view(value); }) {
            const std::string_view bytes = codec<T>::view(value);
            push(bytes.data() != nullptr ? bytes.data() : "", bytes.size()); // nullptr would be NULL
        } else {
            const std::size_t at = bytes_.size();
            tenon::encode(value, bytes_);
            push_encoded(at);
        }
    }

    /// The buffer behind the values, for building one in place: append to it, then call `push_encoded`.
    [[nodiscard]] buffer& bytes() noexcept { return bytes_; }

    /// Makes everything appended to `bytes()` since it had size `from` the next value.
    void push_encoded(std::size_t from) {
        push(encoded, bytes_.size() - from);
        offsets_[count_ - 1] = from;
    }

    /// Writes the server's OIDs into value number `index`, an array or a composite, at every depth. Throws
    /// encode_error when it has not the form of `type`.
    void set_oids(std::size_t index, const detail::server_type& type) {
        if (offsets_[index] != borrowed && values_[index] != nullptr)
            detail::put_oids(bytes_, offsets_[index], static_cast<std::size_t>(lengths_[index]), type);
    }

    void clear() noexcept {
        count_ = 0;
        bytes_.clear();
    }

    [[nodiscard]] std::size_t size() const noexcept { return count_; }
    /// Pointers to the values; nullptr for NULL. Valid until the next `add`.
    [[nodiscard]] const char* const* values() noexcept {
        for (std::size_t i = 0; i < count_; ++i)
            if (offsets_[i] != borrowed)
                values_[i] = bytes_.data() + offsets_[i];
        return values_;
    }
    [[nodiscard]] const int* lengths() const noexcept { return lengths_; }

protected:
    parameters(const char** values, int* lengths, std::size_t* offsets) noexcept
        : values_(values), lengths_(lengths), offsets_(offsets) {}
    ~parameters() = default;

private:
    static constexpr std::size_t borrowed = SIZE_MAX;
    static constexpr const char* encoded = "";

    void push(const char* data, std::size_t size) {
        if (size > 0x3FFFFFFF)
            detail::throw_encode_error("a value of more than 1 GiB cannot be sent to PostgreSQL");
        values_[count_] = data;
        lengths_[count_] = static_cast<int>(size);
        offsets_[count_] = borrowed;
        ++count_;
    }

    const char** values_;
    int* lengths_;
    std::size_t* offsets_;
    std::size_t count_ = 0;
    buffer bytes_;
};

namespace detail {

/// A base, so that it is there before `parameters` is given its addresses. Left uninitialised.
template <std::size_t N>
struct parameter_room {
    std::array<const char*, N == 0 ? 1 : N> values_room;
    std::array<int, N == 0 ? 1 : N> lengths_room;
    std::array<std::size_t, N == 0 ? 1 : N> offsets_room;
};

} // namespace detail

/// Room for `N` values.
template <std::size_t N>
class parameter_list final : private detail::parameter_room<N>, public parameters {
    using room = detail::parameter_room<N>;

public:
    parameter_list() noexcept
        : parameters(room::values_room.data(), room::lengths_room.data(), room::offsets_room.data()) {}
};

} // namespace tenon
