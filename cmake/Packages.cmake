# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT

# What "cpack", called in a Release build, packs: what "cmake --install" installs.
#
#   Linux    TGZ, and DEB with a runtime and a development package. Configure with -DCMAKE_INSTALL_PREFIX=/usr, so that
#            the library gets into the folder that the distribution has for it.
#   Windows  ZIP, and with "cpack -G NSIS" an installer, where makensis is installed

set(CPACK_PACKAGE_VENDOR "QtNamedPipes contributors")
# Debian wants an address. There is none yet: "cpack -D CPACK_PACKAGE_CONTACT=..." for packages that are given away.
set(CPACK_PACKAGE_CONTACT "QtNamedPipes contributors <qtnamedpipes@example.invalid>")
set(CPACK_PACKAGE_DESCRIPTION
"QtNamedPipes lets processes of one machine exchange messages: over named pipes
on Windows, over AF_UNIX sockets on Linux, with the same behaviour on both.
Messages keep their boundaries, worker threads do the input and output.")
set(CPACK_RESOURCE_FILE_LICENSE "${PROJECT_SOURCE_DIR}/LICENSES/MIT.txt")
set(CPACK_PACKAGE_CHECKSUM SHA256)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL QtNamedPipesDevelopment)
if(BUILD_SHARED_LIBS)
    list(PREPEND CPACK_COMPONENTS_ALL QtNamedPipesRuntime)
endif()

if(WIN32)
    set(CPACK_GENERATOR ZIP)
else()
    set(CPACK_GENERATOR TGZ DEB)
endif()

set(CPACK_NSIS_DISPLAY_NAME "QtNamedPipes ${PROJECT_VERSION}")
set(CPACK_NSIS_ENABLE_UNINSTALL_BEFORE_INSTALL ON)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS ON)
# The name changes with the SONAME, so that two incompatible libraries can be installed side by side.
get_target_property(soversion QtNamedPipes SOVERSION)
set(CPACK_DEBIAN_QTNAMEDPIPESRUNTIME_PACKAGE_NAME "libqtnamedpipes${soversion}")
set(CPACK_DEBIAN_QTNAMEDPIPESRUNTIME_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_QTNAMEDPIPESRUNTIME_PACKAGE_SHLIBDEPS ON)
# A program that was packed with one version does with a later one.
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_PRE_BUILD_SCRIPTS "${PROJECT_SOURCE_DIR}/cmake/debian-copyright.cmake")
set(CPACK_DEBIAN_QTNAMEDPIPESDEVELOPMENT_PACKAGE_NAME libqtnamedpipes-dev)
set(CPACK_DEBIAN_QTNAMEDPIPESDEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_QTNAMEDPIPESDEVELOPMENT_PACKAGE_DEPENDS
    "qt6-base-dev (>= ${Qt6Core_VERSION_MAJOR}.${Qt6Core_VERSION_MINOR})")

include(CPack)

set(needs_runtime "")
if(BUILD_SHARED_LIBS)
    set(needs_runtime DEPENDS QtNamedPipesRuntime)
    cpack_add_component(QtNamedPipesRuntime
        DISPLAY_NAME "Library"
        DESCRIPTION "The library that programs need when they run"
        REQUIRED)
endif()
cpack_add_component(QtNamedPipesDevelopment
    DISPLAY_NAME "Development files"
    DESCRIPTION "Headers, CMake package and pkg-config file, to build programs with"
    ${needs_runtime})
