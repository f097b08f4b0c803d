# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT

# qtnamedpipes_add_test(NAME tst_x SOURCES file... [INTERNALS] [LIBRARIES target...] [TIMEOUT seconds])
#
# One Qt Test suite: a program, registered with CTest under its name.
#   INTERNALS  link the classes below the public ones too (unit tests); otherwise the public library, as a user has it.
#   LIBRARIES  more to link, for instance the library of tests/support.
#   TIMEOUT    seconds for the whole suite, 120 unless given; more is allowed where the program is slowed down.
#
# CTest starts suites through support/run-suite.sh, which keeps a log and believes a suite only when it printed its totals.

function(qtnamedpipes_add_test)
    cmake_parse_arguments(PARSE_ARGV 0 arg "INTERNALS" "NAME;TIMEOUT" "SOURCES;LIBRARIES")
    if(NOT arg_NAME OR NOT arg_SOURCES)
        message(FATAL_ERROR "qtnamedpipes_add_test needs NAME and SOURCES")
    endif()
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "qtnamedpipes_add_test(${arg_NAME}): what is ${arg_UNPARSED_ARGUMENTS}?")
    endif()

    add_executable(${arg_NAME} ${arg_SOURCES})
    qtnamedpipes_target_defaults(${arg_NAME})
    if(Qt6Core_VERSION VERSION_GREATER_EQUAL 6.5 AND NOT MSVC)
        target_compile_options(${arg_NAME} PRIVATE -Wno-conversion) # what QTRY_VERIFY() of a newer Qt does
    endif()
    set_target_properties(${arg_NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${TESTS_BINARY_DIR}")
    # Where the helper programs are, too; with Visual Studio one folder down, named after the configuration.
    target_compile_definitions(${arg_NAME} PRIVATE TESTS_BINARY_DIR="$<TARGET_FILE_DIR:${arg_NAME}>")
    target_link_libraries(${arg_NAME} PRIVATE
        $<IF:$<BOOL:${arg_INTERNALS}>,QtNamedPipesInternals,QtNamedPipes::QtNamedPipes>
        ${arg_LIBRARIES} Qt6::Test Qt6::Core
    )
    if(TARGET QtNamedPipesPrecompiledQt)
        target_precompile_headers(${arg_NAME} REUSE_FROM QtNamedPipesPrecompiledQt)
    endif()

    set(timeout 120)
    if(arg_TIMEOUT)
        set(timeout ${arg_TIMEOUT})
    endif()
    if(QTNAMEDPIPES_SANITIZE)
        math(EXPR timeout "${timeout} * 4")
    elseif(CMAKE_CROSSCOMPILING)
        math(EXPR timeout "${timeout} * 2")
    endif()

    if(CMAKE_HOST_WIN32)
        add_test(NAME ${arg_NAME} COMMAND ${arg_NAME})
        set_tests_properties(${arg_NAME} PROPERTIES
            TIMEOUT ${timeout}
            ENVIRONMENT_MODIFICATION "PATH=path_list_prepend:$<TARGET_FILE_DIR:Qt6::Core>"
        )
        return()
    endif()

    add_test(NAME ${arg_NAME}
        COMMAND "${PROJECT_SOURCE_DIR}/tests/support/run-suite.sh" ${arg_NAME}
            ${CMAKE_CROSSCOMPILING_EMULATOR} $<TARGET_FILE:${arg_NAME}>)
    # run-suite.sh ends a suite that hangs and says so; CTest's own limit is for the case that even this fails.
    math(EXPR last_resort "${timeout} + 30")
    set(environment "QTNAMEDPIPES_SUITE_TIMEOUT=${timeout}")
    if(CMAKE_CROSSCOMPILING)
        list(APPEND environment "QTNAMEDPIPES_WINDOWS_QT=${QTNAMEDPIPES_WINDOWS_QT}")
    endif()
    if(QTNAMEDPIPES_SANITIZE)
        list(APPEND environment
            "QTNAMEDPIPES_SANITIZE=${QTNAMEDPIPES_SANITIZE}"
            "ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:halt_on_error=1"
            "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1"
            "TSAN_OPTIONS=halt_on_error=0:exitcode=66:second_deadlock_stack=1:history_size=7:die_after_fork=0"
        )
    endif()
    set_tests_properties(${arg_NAME} PROPERTIES TIMEOUT ${last_resort} ENVIRONMENT "${environment}")
endfunction()
