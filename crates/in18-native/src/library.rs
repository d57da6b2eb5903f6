//! Finds one of the project's own libraries, loads it, and compares its build with the program's.

use std::ffi::OsString;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::{env, fmt};

use libloading::os::unix;

use crate::location;

/// The environment variable that names the folder with the libraries, if they are neither beside
/// the program nor where `cargo xtask setup` puts them.
pub const FOLDER: &str = "IN18_TORCH";

/// A library that the project builds, and that programs load at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnLibrary {
    /// The library's file is `libNAME.so`.
    pub name: &'static str,
    /// The [digest](crate::digest) of the library's sources. Its function `in18_build` returns it.
    pub build: u64,
    /// The command that builds the library.
    pub setup: &'static str,
}

/// Why a library cannot be used, and how to fix that, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LibraryError {
    /// The library's file is in no known folder.
    Missing(OwnLibrary),
    /// The file is not in the folder that [`FOLDER`] names.
    NotInFolder(OwnLibrary, PathBuf),
    /// The system cannot load this file, or the file lacks a function; and the reason.
    Unloadable(OwnLibrary, PathBuf, String),
    /// This file was built from other sources than the program.
    OtherBuild(OwnLibrary, PathBuf),
}

impl fmt::Display for LibraryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LibraryError::Missing(library) => {
                write!(f, "{} is missing: run `{}`", library.file(), library.setup)
            }
            LibraryError::NotInFolder(library, folder) => {
                let (file, folder, setup) = (library.file(), folder.display(), library.setup);
                write!(f, "{FOLDER}={folder}: expected {file} in that folder, got none: unset it and run `{setup}`")
            }
            LibraryError::Unloadable(library, path, why) => {
                write!(f, "{} cannot be loaded ({why}): run `{}`", path.display(), library.setup)
            }
            LibraryError::OtherBuild(library, path) => {
                let (path, setup) = (path.display(), library.setup);
                write!(f, "{path} is of another build than this program: remove it and run `{setup}`")
            }
        }
    }
}

impl std::error::Error for LibraryError {}

impl OwnLibrary {
    /// The name of the library's file.
    pub fn file(&self) -> String {
        format!("lib{}.so", self.name)
    }

    /// The folder that `cargo xtask setup` makes for the library, a new one for each build. `None`
    /// as for [`location::dependencies`].
    pub fn home(&self) -> Option<PathBuf> {
        Some(location::dependencies(location::variable)?.join(format!("{}-{:016x}", self.name, self.build)))
    }

    /// The library's file: in the folder that [`FOLDER`] names; without that variable, beside the
    /// program or where `cargo xtask setup` put it. Nothing is loaded.
    ///
    /// # Errors
    /// [`LibraryError::Missing`], [`LibraryError::NotInFolder`].
    pub fn find(&self) -> Result<PathBuf, LibraryError> {
        let beside = env::current_exe().ok().and_then(|program| Some(program.parent()?.to_owned()));
        self.find_in(env::var_os(FOLDER).filter(|folder| !folder.is_empty()), [beside, self.home()])
    }

    fn find_in(&self, named: Option<OsString>, folders: [Option<PathBuf>; 2]) -> Result<PathBuf, LibraryError> {
        let in_folder = |folder: PathBuf| Some(folder.join(self.file())).filter(|file| file.is_file());
        if let Some(folder) = named.map(PathBuf::from) {
            return in_folder(folder.clone()).ok_or(LibraryError::NotInFolder(*self, folder));
        }
        folders.into_iter().flatten().find_map(in_folder).ok_or(LibraryError::Missing(*self))
    }

    /// Loads the library, unless it is loaded already, and looks up a table of its functions.
    ///
    /// # Errors
    /// Any [`LibraryError`].
    pub fn load<T>(&self, table: impl FnOnce(&Library) -> Result<T, String>) -> Result<T, LibraryError> {
        self.load_file(&self.find()?, table)
    }

    fn load_file<T>(&self, file: &Path, table: impl FnOnce(&Library) -> Result<T, String>) -> Result<T, LibraryError> {
        let unloadable = |why| LibraryError::Unloadable(*self, file.to_owned(), why);
        // SAFETY: the initialisers of the project's libraries, of libtorch's and of NVIDIA's may
        // run in any process.
        let library = unsafe { Library::open(file) }.map_err(unloadable)?;
        // SAFETY: every library of the project has this function with this type, and no other file
        // has a function of this name.
        let build = unsafe { library.function::<unsafe extern "C" fn() -> u64>("in18_build") };
        // SAFETY: the function takes nothing.
        match build.map(|build| unsafe { build() }) {
            Ok(build) if build == self.build => table(&library).map_err(unloadable),
            _ => Err(LibraryError::OtherBuild(*self, file.to_owned())),
        }
    }
}

/// A library that stays loaded until the process ends: other libraries may point into it.
#[derive(Debug)]
pub struct Library(ManuallyDrop<unix::Library>);

impl Library {
    /// Loads a file or, given a bare name, the system's library of that name. Other libraries do
    /// not see its symbols, so two libraries may have different functions of one name.
    ///
    /// # Errors
    /// The system's message, in one line.
    ///
    /// # Safety
    /// What the library does when it is loaded must be sound in this process.
    pub unsafe fn open(file: &Path) -> Result<Self, String> {
        // SAFETY: by the caller's promise.
        let library = unsafe { unix::Library::open(Some(file), unix::RTLD_NOW | unix::RTLD_LOCAL) };
        library.map(|library| Library(ManuallyDrop::new(library))).map_err(|error| error.to_string().replace('\n', " "))
    }

    /// A function by its name.
    ///
    /// # Errors
    /// The system's message, in one line, if there is no such function.
    ///
    /// # Safety
    /// `T` must be the type of a pointer to the function of this name.
    pub unsafe fn function<T: Copy>(&self, name: &str) -> Result<T, String> {
        // SAFETY: by the caller's promise. The library is never unloaded: the pointer stays valid.
        let symbol = unsafe { self.0.get::<T>(name) };
        symbol.map(|symbol| *symbol).map_err(|error| error.to_string().replace('\n', " "))
    }
}

/// Declares a library's functions as a table, with a field for each function and a method of the
/// same name that calls it. `TABLE::load` loads the table. The library's function is named `PREFIX`
/// followed by the field's name.
#[macro_export]
macro_rules! functions {
    (
        $(#[$of_table:meta])*
        pub struct $table:ident, $prefix:literal;
        $($(#[$of_function:meta])* fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)?;)+
    ) => {
        $(#[$of_table])*
        pub struct $table {
            $(
                #[doc = concat!("`", $prefix, stringify!($name), "`.")]
                pub $name: unsafe extern "C" fn($($type),*) $(-> $result)?,
            )+
        }

        impl $table {
            /// The functions' names in the library.
            pub const NAMES: &'static [&'static str] = &[$(concat!($prefix, stringify!($name))),+];

            /// Looks up the functions.
            ///
            /// # Errors
            /// The system's message for the first function that is missing.
            ///
            /// # Safety
            /// The library must define functions of these names with these types.
            pub unsafe fn load(library: &$crate::Library) -> Result<Self, String> {
                // SAFETY: by the caller's promise.
                unsafe { Ok($table { $($name: library.function(concat!($prefix, stringify!($name)))?),+ }) }
            }

            $(
                $(#[$of_function])*
                #[doc = concat!("Calls `", $prefix, stringify!($name), "`.")]
                #[doc = ""]
                #[doc = "# Safety"]
                #[doc = "Arguments must be as its definition in C++ says."]
                #[allow(clippy::too_many_arguments, reason = "as many as the operation has operands")]
                #[inline]
                pub unsafe fn $name(&self, $($argument: $type),*) $(-> $result)? {
                    // SAFETY: by the caller's promise.
                    unsafe { (self.$name)($($argument),*) }
                }
            )+
        }
    };
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LIBRARY: OwnLibrary = OwnLibrary { name: "in18_test", build: 7, setup: "cargo xtask setup --torch" };

    #[test]
    fn a_named_folder_comes_first_then_the_programs_then_that_of_setup() {
        let [named, beside, home] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let path = |folder: &tempfile::TempDir| folder.path().join("libin18_test.so");
        let find = |name: bool| {
            let named = name.then(|| named.path().into());
            LIBRARY.find_in(named, [Some(beside.path().to_owned()), Some(home.path().to_owned())])
        };
        assert_eq!(find(false), Err(LibraryError::Missing(LIBRARY)));
        for folder in [&home, &beside] {
            fs::write(path(folder), "").unwrap();
            assert_eq!(find(false), Ok(path(folder)));
        }
        // If the user names a folder, no other is searched.
        assert_eq!(find(true), Err(LibraryError::NotInFolder(LIBRARY, named.path().to_owned())));
        fs::write(path(&named), "").unwrap();
        assert_eq!(find(true), Ok(path(&named)));
    }

    #[test]
    fn what_is_no_library_of_this_build_is_refused_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("libin18_test.so");
        fs::write(&file, "no library").unwrap();
        let text = LIBRARY.load_file(&file, |_| Ok(())).unwrap_err().to_string();
        assert!(text.contains("libin18_test.so cannot be loaded (") && !text.contains('\n'), "{text}");
        // A library that is not the project's.
        let error = LIBRARY.load_file(Path::new("libc.so.6"), |_| Ok(())).unwrap_err();
        assert_eq!(error, LibraryError::OtherBuild(LIBRARY, "libc.so.6".into()));
        let text = LibraryError::Missing(LIBRARY).to_string();
        assert_eq!(text, "libin18_test.so is missing: run `cargo xtask setup --torch`");
    }
}
