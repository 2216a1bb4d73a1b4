// SPDX-License-Identifier: Apache-2.0
//! In a Zephyr build: makes the declarations from the headers of that build.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(initial_attestation)");
    #[cfg(feature = "zephyr")]
    zephyr::bind();
    #[cfg(not(feature = "zephyr"))]
    println!("cargo::rustc-cfg=initial_attestation");
}

#[cfg(feature = "zephyr")]
mod zephyr {
    use std::path::{Path, PathBuf};
    use std::{env, fs};

    /// `psa.c` after the build's own preprocessor lies beside Zephyr's `.config`.
    pub(crate) fn bind() {
        println!("cargo::rerun-if-env-changed=DOTCONFIG");
        let dotconfig = env::var("DOTCONFIG")
            .expect("DOTCONFIG is not set: the feature `zephyr` is for builds by Zephyr's CMake");
        let psa = Path::new(&dotconfig).with_file_name("devid").join("psa.h");
        println!("cargo::rerun-if-changed={}", psa.display());
        let headers = fs::read_to_string(&psa)
            .unwrap_or_else(|error| panic!("{}: {error}; is CONFIG_DEVID set?", psa.display()));

        if headers.contains("psa_initial_attest_get_token") {
            println!("cargo::rustc-cfg=initial_attestation");
        }
        let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
        bindgen::builder()
            .header_contents("psa.h", &headers)
            .use_core()
            .layout_tests(false)
            .generate_comments(false)
            .allowlist_function("devid_port_.*")
            .allowlist_function("psa_(generate|import|destroy|export_public)_key")
            .allowlist_function("psa_(sign|verify)_hash|psa_generate_random")
            .allowlist_function("psa_hash_(setup|update|finish|abort)")
            .allowlist_function("psa_initial_attest_get_token(_size)?")
            .allowlist_type("devid_number")
            .default_enum_style(bindgen::EnumVariation::Consts)
            .prepend_enum_name(false)
            .parse_callbacks(Box::new(Names))
            .generate()
            .expect("bindgen reads the preprocessed PSA headers")
            .write_to_file(out.join("psa.rs"))
            .expect("OUT_DIR is writable");
    }

    #[derive(Debug)]
    struct Names;

    impl bindgen::callbacks::ParseCallbacks for Names {
        fn enum_variant_name(
            &self,
            _: Option<&str>,
            name: &str,
            _: bindgen::callbacks::EnumVariantValue,
        ) -> Option<String> {
            name.strip_prefix("DEVID_").map(str::to_owned)
        }
    }
}
