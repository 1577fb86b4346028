# What `cmake --install` and `./build.sh package` put where.
include(GNUInstallDirs)
set(PORTOLAN_LIBDIR lib/portolan)

install(TARGETS portolan RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${CMAKE_BINARY_DIR}/plugins/ DESTINATION ${PORTOLAN_LIBDIR}/plugins FILES_MATCHING PATTERN "*.so"
        PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/config/ DESTINATION share/portolan/config)
# The SDK keeps its shape, so that sdk/cmake/PortolanPlugin.cmake finds headers and version script beside itself.
install(DIRECTORY ${PROJECT_SOURCE_DIR}/sdk/include DESTINATION share/portolan/sdk)
install(FILES ${PROJECT_SOURCE_DIR}/sdk/portolan_plugin.map DESTINATION share/portolan/sdk)
install(FILES ${PROJECT_SOURCE_DIR}/sdk/cmake/PortolanPlugin.cmake DESTINATION share/portolan/sdk/cmake)
install(FILES ${PROJECT_SOURCE_DIR}/packaging/portolan.service DESTINATION lib/systemd/system)
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)

set(CPACK_PACKAGE_NAME portolan)
set(CPACK_PACKAGE_VENDOR Portolan)
set(CPACK_PACKAGE_CONTACT "Portolan <portolan@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "LLM router host with plugins for providers and policies")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "ca-certificates")
set(CPACK_DEBIAN_PACKAGE_SECTION net)
include(CPack)
