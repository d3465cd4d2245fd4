"""Take spans of addresses whose memory is taken when it is first used, and lengthen them."""

cdef extern from *:
    """
    #include <string.h>
    #include <sys/mman.h>
    #ifndef MAP_NORESERVE
    #define MAP_NORESERVE 0
    #endif
    static inline void* headrace_span(size_t bytes) {
        void* span = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANON | MAP_NORESERVE, -1, 0);
        return span == MAP_FAILED ? NULL : span;
    }
    /* A longer span with the first `used` bytes of one of `bytes`, which is gone; NULL: it is not.
       Linux moves pages instead of bytes. */
    static inline void* headrace_longer(void* at, size_t bytes, size_t used, size_t longer) {
    #ifdef MREMAP_MAYMOVE
        void* span = mremap(at, bytes, longer, MREMAP_MAYMOVE);
        return span == MAP_FAILED ? NULL : span;
    #else
        void* span = headrace_span(longer);
        if (span != NULL) {
            memcpy(span, at, used);
            munmap(at, bytes);
        }
        return span;
    #endif
    }
    """
    void* longer_span "headrace_longer"(void* at, size_t size, size_t used, size_t longer) noexcept nogil
    void* span "headrace_span"(size_t size) noexcept nogil
    int munmap(void* at, size_t size) noexcept nogil
