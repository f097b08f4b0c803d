# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT

# Called by CPack when the files of the packages lie ready. Debian wants the licence of each package in a file of its own,
# doc/<package>/copyright, in a form of its own; other packages have it as it is installed.
if(NOT CPACK_GENERATOR STREQUAL "DEB")
    return()
endif()

file(STRINGS "${CPACK_RESOURCE_FILE_LICENSE}" lines)
list(FILTER lines INCLUDE REGEX "^Copyright ")
list(GET lines 0 holder)
string(REGEX REPLACE "^Copyright \\(c\\) " "" holder "${holder}")
file(READ "${CPACK_RESOURCE_FILE_LICENSE}" license)
string(STRIP "${license}" license)
string(REPLACE "\n\n" "\n.\n" license "${license}")
string(REPLACE "\n" "\n " license "${license}")

foreach(component IN LISTS CPACK_COMPONENTS_ALL)
    string(TOUPPER "${component}" upper)
    set(package "${CPACK_DEBIAN_${upper}_PACKAGE_NAME}")
    set(doc "${CPACK_TEMPORARY_DIRECTORY}/${component}${CPACK_PACKAGING_INSTALL_PREFIX}/share/doc")
    file(REMOVE_RECURSE "${doc}/${CPACK_PACKAGE_NAME}")
    file(WRITE "${doc}/${package}/copyright"
"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: ${CPACK_PACKAGE_NAME}

Files: *
Copyright: ${holder}
License: MIT
 ${license}
")
endforeach()
