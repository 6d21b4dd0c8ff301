// All codecs that need no further library.
#pragma once

#include <tenon/codec/array.hpp>
#include <tenon/codec/chrono.hpp>
#include <tenon/codec/composite.hpp>
#include <tenon/codec/enumeration.hpp>
#include <tenon/codec/inet.hpp>
#include <tenon/codec/interval.hpp>
#include <tenon/codec/json_text.hpp>
#include <tenon/codec/multirange.hpp>
#include <tenon/codec/numeric.hpp>
#include <tenon/codec/optional.hpp>
#include <tenon/codec/range.hpp>
#include <tenon/codec/scalar.hpp>
#include <tenon/codec/text.hpp>
#include <tenon/codec/time_of_day.hpp>
#include <tenon/codec/tsvector.hpp>
#include <tenon/codec/uuid.hpp>
#include <tenon/codec/view.hpp>
