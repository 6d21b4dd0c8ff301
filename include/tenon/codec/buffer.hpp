// Bytes on their way to the server: an append-only buffer that needs no heap for small statements.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstring>
#include <string_view>

#include <tenon/codec/wire.hpp>

namespace tenon {

/// Append-only bytes; the first 512 live inside the object. Not copyable, one owner.
class buffer {
public:
    buffer() noexcept = default;
    buffer(const buffer&) = delete;
    buffer& operator=(const buffer&) = delete;
    ~buffer() {
        if (begin_ != inline_)
            delete[] begin_;
    }

    void append(std::string_view bytes) {
        if (!bytes.empty())
            std::memcpy(grow(bytes.size()), bytes.data(), bytes.size());
    }

    /// Appends an integer in network byte order.
    template <std::integral T>
    void put(T value) {
        (void)detail::store(grow(sizeof value), value);
    }

    /// Appends `size` bytes for the caller to write, before anything else is appended.
    [[nodiscard]] char* extend(std::size_t size) { return grow(size); }

    /// Takes back what was appended since the buffer had `size` bytes.
    void shrink(std::size_t size) noexcept { end_ = begin_ + size; }

    /// Overwrites the four bytes at `at`, which were appended before: a length that is known only afterwards.
    void patch(std::size_t at, std::int32_t value) noexcept {
        value = detail::big_endian(value);
        std::memcpy(begin_ + at, &value, sizeof value);
    }

    void clear() noexcept { end_ = begin_; }

    [[nodiscard]] std::size_t size() const noexcept { return static_cast<std::size_t>(end_ - begin_); }
    [[nodiscard]] const char* data() const noexcept { return begin_; }
    [[nodiscard]] std::string_view bytes() const noexcept { return {begin_, size()}; }

private:
    char* grow(std::size_t more) {
        if (static_cast<std::size_t>(limit_ - end_) < more)
            reallocate(more);
        char* const at = end_;
        end_ += more;
        return at;
    }
    void reallocate(std::size_t more);

    char inline_[512]; // NOLINT(modernize-avoid-c-arrays): deliberately left uninitialised
    char* begin_ = inline_;
    char* end_ = inline_;
    char* limit_ = inline_ + sizeof inline_;
};

} // namespace tenon
