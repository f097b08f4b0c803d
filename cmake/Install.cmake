# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT

# What "cmake --install" installs: the library, for find_package(QtNamedPipes) and for pkg-config. Included by
# src/CMakeLists.txt, whose variables it uses. The result may be moved: no file in it names a folder of the build.
#
# Components: QtNamedPipesRuntime      what a program needs when it runs; empty for a static library
#             QtNamedPipesDevelopment  what is needed to build one

include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/QtNamedPipes")
get_target_property(library_type QtNamedPipes TYPE)
if(library_type STREQUAL "STATIC_LIBRARY")
    set(license_component QtNamedPipesDevelopment)
else()
    set(license_component QtNamedPipesRuntime)
endif()

install(TARGETS QtNamedPipes EXPORT QtNamedPipesTargets
    RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT QtNamedPipesRuntime
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT QtNamedPipesRuntime
        NAMELINK_COMPONENT QtNamedPipesDevelopment
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT QtNamedPipesDevelopment
)
install(FILES "${PROJECT_SOURCE_DIR}/LICENSES/MIT.txt" DESTINATION "${CMAKE_INSTALL_DOCDIR}"
    COMPONENT ${license_component})
install(FILES ${public_headers} ${forwarding_headers} DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/QtNamedPipes"
    COMPONENT QtNamedPipesDevelopment)
install(EXPORT QtNamedPipesTargets NAMESPACE QtNamedPipes:: DESTINATION "${package_dir}"
    COMPONENT QtNamedPipesDevelopment)

# A Qt older than the one that the library was built with does not do, a newer one does.
set(qt_version "${Qt6Core_VERSION_MAJOR}.${Qt6Core_VERSION_MINOR}")
configure_package_config_file(
    "${PROJECT_SOURCE_DIR}/cmake/QtNamedPipesConfig.cmake.in"
    "${CMAKE_CURRENT_BINARY_DIR}/QtNamedPipesConfig.cmake"
    INSTALL_DESTINATION "${package_dir}"
    NO_SET_AND_CHECK_MACRO
)
write_basic_package_version_file(
    "${CMAKE_CURRENT_BINARY_DIR}/QtNamedPipesConfigVersion.cmake"
    COMPATIBILITY SameMajorVersion
)
install(FILES
    "${CMAKE_CURRENT_BINARY_DIR}/QtNamedPipesConfig.cmake"
    "${CMAKE_CURRENT_BINARY_DIR}/QtNamedPipesConfigVersion.cmake"
    DESTINATION "${package_dir}" COMPONENT QtNamedPipesDevelopment
)

# The pkg-config file finds the headers from where it lies itself. A static library has to name what it needs.
file(RELATIVE_PATH pc_to_include "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
set(pc_cflags "")
set(pc_libs "")
if(library_type STREQUAL "STATIC_LIBRARY")
    set(pc_cflags " -DQTNAMEDPIPES_STATIC")
    foreach(library IN LISTS engine_libraries)
        string(APPEND pc_libs " -l${library}")
    endforeach()
endif()
configure_file("${PROJECT_SOURCE_DIR}/cmake/QtNamedPipes.pc.in" "${CMAKE_CURRENT_BINARY_DIR}/QtNamedPipes.pc" @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/QtNamedPipes.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig"
    COMPONENT QtNamedPipesDevelopment)
