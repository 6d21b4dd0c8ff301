// expect: no matching function for call to|no matching constructor for initialization
#include <tenon/election/leadership.hpp>

void misuse(const tenon::leadership& leadership) {
    tenon::transaction unfenced{leadership};
}
