# Lays a bundle and packs it. Called by the target "bundle", which says where the programs lie; everything else is found
# from them: libraries as the loader finds them, Open MPI by ompi_info, data by the libraries' own tools, licences by dpkg.
#
#   bin/       quadrat, make_scene, mpirun
#   lib/       libraries; lib/quadrat/ the CUDA plug-in
#   openmpi/   Open MPI with its plug-ins, as if it were installed there; may be taken out
#   share/     data of PROJ and GDAL, licences
#   jobs/, slurm/, README.md, MANUAL.md, LICENSE
cmake_minimum_required(VERSION 3.22)

# The C library is the system's, and so is what belongs to drivers: of GPUs, and of InfiniBand, whose library and providers
# must be of one make.
set(system_libraries
  "/(ld-linux[^/]*|libc|libm|libmvec|libdl|libpthread|librt|libresolv|libutil|libanl|libnsl|libthread_db|libBrokenLocale)\\.so[.0-9]*$"
  "/lib(cuda|nvidia-[a-z-]+|ibverbs|rdmacm)\\.so[.0-9]*$")
# Parts of Open MPI for networks whose libraries are left out, for OpenSHMEM, and for debuggers.
set(unwanted_plugins "mca_(btl_ofi|btl_openib|mtl_ofi|mtl_psm2?|reachable_netlink|scoll_.*|spml_.*|sshmem_.*|memheap_.*|atomic_.*)\\.so|libompi_dbg_.*")

foreach(needed PATCHELF STRIP)
  if(NOT ${needed})
    string(TOLOWER ${needed} program)
    message(FATAL_ERROR "The bundle needs ${program}: install it (apt-get install ${program}) and configure again.")
  endif()
endforeach()

function(run output)
  execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE text ERROR_VARIABLE words RESULT_VARIABLE failed OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(failed)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command} fails (${failed}): ${words}")
  endif()
  set(${output} "${text}" PARENT_SCOPE)
endfunction()

# copy(FOLDER [NAME name] files …): each under its own name, or under name; links are followed. What dpkg should know is kept
# in the list of licences.
set(copied "")
macro(copy folder)
  cmake_parse_arguments(COPY "" "NAME" "" ${ARGN})
  foreach(from IN LISTS COPY_UNPARSED_ARGUMENTS)
    file(REAL_PATH ${from} real)
    cmake_path(GET from FILENAME name)
    if(COPY_NAME)
      set(name ${COPY_NAME})
    endif()
    file(MAKE_DIRECTORY ${root}/${folder})
    file(COPY_FILE ${real} ${root}/${folder}/${name})
    list(APPEND copied ${real})
  endforeach()
endmacro()

# Libraries that files need, by the names they are asked for; an error if one is missing.
function(find_libraries output)
  cmake_parse_arguments(FIND "" "" "PROGRAMS;LIBRARIES;MODULES;WITHOUT" ${ARGN})
  file(GET_RUNTIME_DEPENDENCIES EXECUTABLES ${FIND_PROGRAMS} LIBRARIES ${FIND_LIBRARIES} MODULES ${FIND_MODULES}
    RESOLVED_DEPENDENCIES_VAR found UNRESOLVED_DEPENDENCIES_VAR missing CONFLICTING_DEPENDENCIES_PREFIX conflict
    PRE_EXCLUDE_REGEXES "^lib(cuda|ibverbs|rdmacm)\\.so" ${FIND_WITHOUT}
    POST_EXCLUDE_REGEXES ${system_libraries})
  if(missing)
    message(FATAL_ERROR "These libraries are not found: ${missing}")
  endif()
  foreach(name IN LISTS conflict_FILENAMES)
    list(GET conflict_${name} 0 first)
    list(APPEND found ${first})
  endforeach()
  list(SORT found)
  list(REMOVE_DUPLICATES found)
  set(${output} "${found}" PARENT_SCOPE)
endfunction()

# glibc's version: that of the machine that builds, or rather that of the newest function that is used.
function(needed_glibc output)
  file(GLOB_RECURSE files ${root}/bin/* ${root}/lib/* ${root}/openmpi/bin/* ${root}/openmpi/*.so*)
  set(newest 2.0)
  foreach(file IN LISTS files)
    execute_process(COMMAND ${OBJDUMP} -p ${file} OUTPUT_VARIABLE text ERROR_QUIET)
    string(REGEX MATCHALL "GLIBC_2\\.[0-9]+" versions "${text}")
    foreach(version IN LISTS versions)
      string(REPLACE "GLIBC_" "" version ${version})
      if(version VERSION_GREATER newest)
        set(newest ${version})
      endif()
    endforeach()
  endforeach()
  set(${output} ${newest} PARENT_SCOPE)
endfunction()

set(root ${BUILD}/bundle-tree/laid)
file(REMOVE_RECURSE ${BUILD}/bundle-tree)
file(MAKE_DIRECTORY ${root})
find_program(OBJDUMP objdump REQUIRED)

# Open MPI as it says itself where it is.
find_program(ompi_info ompi_info HINTS ${MPI_FOLDER} NO_CMAKE_SYSTEM_PATH)
if(NOT ompi_info)
  message(FATAL_ERROR "The bundle needs Open MPI, and there is no ompi_info in ${MPI_FOLDER}.")
endif()
run(words ${ompi_info} --parsable --path all)
foreach(name prefix bindir pkglibdir pkgdatadir sysconfdir)
  string(REGEX MATCH "path:${name}:([^\n]+)" line "${words}")
  set(mpi_${name} ${CMAKE_MATCH_1})
endforeach()
foreach(name pkglibdir pkgdatadir)
  cmake_path(IS_PREFIX mpi_prefix ${mpi_${name}} below)
  if(NOT below)
    message(FATAL_ERROR "Open MPI's ${name} ${mpi_${name}} does not lie below its prefix ${mpi_prefix}, so it cannot be moved.")
  endif()
  cmake_path(RELATIVE_PATH mpi_${name} BASE_DIRECTORY ${mpi_prefix} OUTPUT_VARIABLE below_${name})
endforeach()
file(GLOB mpi_plugins ${mpi_pkglibdir}/*.so)
list(FILTER mpi_plugins EXCLUDE REGEX "/(${unwanted_plugins})$")
set(mpi_programs ${mpi_bindir}/orterun ${mpi_bindir}/orted)

# Libraries: of the programs without MPI, then what Open MPI needs besides.
message(STATUS "laying the bundle in ${root}")
find_libraries(libraries PROGRAMS ${QUADRAT} ${MAKE_SCENE} WITHOUT "^libmpi\\.so")
find_libraries(mpi_libraries PROGRAMS ${QUADRAT} ${mpi_programs} MODULES ${mpi_plugins})
list(REMOVE_ITEM mpi_libraries ${libraries})
copy(lib ${libraries})
copy(openmpi/lib ${mpi_libraries})
copy(openmpi/bin ${mpi_programs})
copy(openmpi/bin NAME mpirun ${mpi_bindir}/orterun)
copy(openmpi/${below_pkglibdir} ${mpi_plugins})
file(GLOB words ${mpi_pkgdatadir}/*.txt)
copy(openmpi/${below_pkgdatadir} ${words})
file(GLOB words ${mpi_sysconfdir}/openmpi-*.conf ${mpi_sysconfdir}/openmpi-default-hostfile)
copy(openmpi/etc ${words})
# UCX opens its transports from a folder beside it, and PMIx its parts, unless it is built into Open MPI.
foreach(library IN LISTS mpi_libraries)
  cmake_path(GET library PARENT_PATH folder)
  if(library MATCHES "/libuct\\.so")
    file(GLOB words ${folder}/ucx/*.so.[0-9])
    copy(openmpi/lib/ucx ${words})
  elseif(library MATCHES "/libpmix\\.so")
    file(GLOB words ${folder}/pmix/*.so ${folder}/pmix2/lib/pmix/*.so)
    copy(openmpi/pmix/lib/pmix ${words})
  endif()
endforeach()

file(MAKE_DIRECTORY ${root}/bin)
foreach(program ${QUADRAT} ${MAKE_SCENE} ${MPIRUN})
  file(COPY ${program} DESTINATION ${root}/bin)
endforeach()
if(PLUGIN)
  file(COPY ${PLUGIN} DESTINATION ${root}/lib/quadrat)
endif()

# The loader looks beside the program before all else, LD_LIBRARY_PATH included, and libraries name no places of their own.
file(GLOB own ${root}/bin/* ${root}/lib/quadrat/*)
file(GLOB foreign ${root}/lib/*.so* ${root}/openmpi/lib/*.so* ${root}/openmpi/lib/ucx/* ${root}/openmpi/pmix/lib/pmix/*
  ${root}/openmpi/${below_pkglibdir}/*.so)
run(words ${STRIP} --strip-unneeded ${own})
foreach(file IN LISTS foreign)
  file(CHMOD ${file} PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
endforeach()
run(words ${PATCHELF} --remove-rpath ${foreign})
if(PLUGIN)
  run(words ${PATCHELF} --remove-rpath ${root}/lib/quadrat/quadrat_cuda.so)
endif()
file(GLOB programs ${root}/bin/*)
run(words ${PATCHELF} --force-rpath --set-rpath "$ORIGIN/../lib:$ORIGIN/../openmpi/lib" ${programs})
file(GLOB programs ${root}/openmpi/bin/*)
run(words ${PATCHELF} --force-rpath --set-rpath "$ORIGIN/../lib:$ORIGIN/../../lib" ${programs})

# Data of PROJ and GDAL.
find_program(pkg_config NAMES pkg-config pkgconf REQUIRED)
run(proj_data ${pkg_config} --variable=datadir proj)
run(gdal_data ${pkg_config} --variable=datadir gdal)
foreach(library proj gdal)
  set(folder ${${library}_data})
  if(NOT EXISTS ${folder}/proj.db AND NOT EXISTS ${folder}/gdalvrt.xsd)
    set(folder ${folder}/${library})
  endif()
  file(GLOB words ${folder}/*)
  list(FILTER words EXCLUDE REGEX "\\.gtx$") # heights, which the program leaves alone
  if(NOT words)
    message(FATAL_ERROR "The data of ${library} are not in ${${library}_data}, where pkg-config says they are.")
  endif()
  copy(share/${library} ${words})
endforeach()

file(WRITE ${root}/share/quadrat/bundle.environment "# What the libraries of this bundle must be told; read by the programs.
GDAL_DATA=./share/gdal
GDAL_DRIVER_PATH=disable
PROJ_LIB=./share/proj
PROJ_DATA=./share/proj
")
file(WRITE ${root}/openmpi/bundle.environment "# Where this Open MPI and its parts lie. Take out the folder openmpi to use the site's Open MPI.
OPAL_PREFIX=./openmpi
OPAL_SYSCONFDIR=./openmpi/etc
OPAL_EXEC_PREFIX=
OPAL_BINDIR=
OPAL_LIBDIR=
OPAL_DATADIR=
OPAL_DATAROOTDIR=
OPAL_PKGLIBDIR=
OPAL_PKGDATADIR=
PMIX_PREFIX=./openmpi/pmix
PMIX_INSTALL_PREFIX=./openmpi/pmix
PMIX_SYSCONFDIR=./openmpi/etc
PMIX_EXEC_PREFIX=
PMIX_BINDIR=
PMIX_LIBDIR=./openmpi/pmix/lib
PMIX_DATADIR=./openmpi/share
PMIX_DATAROOTDIR=
PMIX_PKGLIBDIR=./openmpi/pmix/lib/pmix
PMIX_PKGDATADIR=
HWLOC_PLUGINS_PATH=./openmpi/lib/hwloc
# A program that runs alone needs no orted beside it.
OMPI_MCA_ess_singleton_isolated=1
")

# Job files, scripts, words.
file(GLOB words ${SOURCE}/jobs/*.ini)
file(COPY ${words} ${SOURCE}/jobs/first_run.sh DESTINATION ${root}/jobs)
file(COPY ${SOURCE}/slurm ${SOURCE}/jobs/bundle/README.md ${SOURCE}/LICENSE DESTINATION ${root})
file(COPY_FILE ${SOURCE}/README.md ${root}/MANUAL.md)

# Licences: those of the packages that the copied files are of.
find_program(dpkg_query dpkg-query)
if(dpkg_query)
  list(REMOVE_DUPLICATES copied)
  # Where /lib is a link into /usr, dpkg knows a file by one of both names.
  set(asked ${copied})
  list(TRANSFORM asked REPLACE "^/usr/lib" "/lib")
  execute_process(COMMAND ${dpkg_query} --search ${copied} ${asked} OUTPUT_VARIABLE words ERROR_QUIET)
  string(REGEX MATCHALL "(^|\n)[^\n]+: /[^\n]+" lines "${words}")
  set(packages "")
  set(known "")
  foreach(line IN LISTS lines)
    if(line MATCHES "^\n?([^, ]+): (/.*)$")
      list(APPEND packages ${CMAKE_MATCH_1})
      list(APPEND known ${CMAKE_MATCH_2})
    endif()
  endforeach()
  list(REMOVE_DUPLICATES packages)
  list(TRANSFORM known REPLACE "^/lib" "/usr/lib")
  set(unknown ${copied})
  list(REMOVE_ITEM unknown ${known})
  run(list ${dpkg_query} --show "--showformat=\${Package} \${Version}, from the source package \${source:Package} \${source:Version}\n" ${packages})
  foreach(package IN LISTS packages)
    string(REGEX REPLACE ":.*$" "" package ${package})
    if(EXISTS /usr/share/doc/${package}/copyright)
      file(REAL_PATH /usr/share/doc/${package}/copyright real)
      file(MAKE_DIRECTORY ${root}/share/licences)
      file(COPY_FILE ${real} ${root}/share/licences/${package})
    else()
      list(APPEND unknown ${package})
    endif()
  endforeach()
  file(GLOB words /usr/share/common-licenses/*)
  foreach(file IN LISTS words)
    if(NOT IS_SYMLINK ${file})
      file(COPY ${file} DESTINATION ${root}/share/licences/common-licenses)
    endif()
  endforeach()
  cmake_host_system_information(RESULT distribution QUERY DISTRIB_PRETTY_NAME)
  file(WRITE ${root}/share/licences/PACKAGES "Libraries and data of this bundle are those of these packages of ${distribution}, unchanged but
for where they look for each other. Their sources are that distribution's.

${list}
")
else()
  set(unknown ${copied})
endif()
if(unknown)
  list(JOIN unknown "\n  " unknown)
  message(WARNING "No licence is known of\n  ${unknown}\nPut theirs into the bundle before you hand it on.")
endif()

# One archive that unpacks into one folder.
needed_glibc(glibc)
set(name quadrat-${VERSION}-linux-${PROCESSOR}-glibc${glibc})
file(RENAME ${root} ${BUILD}/bundle-tree/${name})
set(archive ${BUILD}/${name}.tar.xz)
file(GLOB earlier ${BUILD}/quadrat-*.tar.xz)
if(earlier)
  file(REMOVE ${earlier})
endif()
set(filter "")
if(PROCESSOR MATCHES "x86_64|AMD64")
  set(filter "--x86 ") # addresses in jumps become alike: 5 % less
endif()
run(words env "XZ_OPT=--threads=0 ${filter}--lzma2=preset=6" tar --sort=name --owner=0 --group=0 --numeric-owner -C ${BUILD}/bundle-tree -cJf ${archive}.part ${name})
file(RENAME ${archive}.part ${archive})
file(REMOVE_RECURSE ${BUILD}/bundle-tree)
file(SIZE ${archive} bytes)
math(EXPR tenths "(${bytes} * 10 + 524288) / 1048576")
string(REGEX REPLACE "(.)$" ".\\1" mebibytes ${tenths})
message(STATUS "${archive}: ${mebibytes} MiB")
