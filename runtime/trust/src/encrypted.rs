//! How cosign encrypts a private key: scrypt makes a key of the password, XSalsa20-Poly1305
//! (NaCl's secretbox) seals with it, and all of it is JSON.

use crypto_secretbox::aead::Aead as _;
use crypto_secretbox::{Key, KeyInit as _, Nonce, XSalsa20Poly1305};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::encoding::{as_base64, excerpt};
use crate::key::KeyError;

const KDF: &str = "scrypt";
const CIPHER: &str = "nacl/secretbox";
const SALT: usize = 32;
const NONCE: usize = 24;

/// The costs that cosign has ever used. A file must not choose how much memory it takes.
const COSTS: [u64; 3] = [1 << 15, 1 << 16, 1 << 17];
const COST: u64 = 1 << 16;
const BLOCK_SIZE: u32 = 8;
const PARALLELISM: u32 = 1;

/// An encrypted private key.
#[derive(Serialize, Deserialize)]
pub(crate) struct Sealed {
    kdf: Kdf,
    cipher: Cipher,
    #[serde(with = "as_base64")]
    ciphertext: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Kdf {
    name: String,
    params: Params,
    #[serde(with = "as_base64")]
    salt: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Params {
    #[serde(rename = "N")]
    cost: u64,
    #[serde(rename = "r")]
    block_size: u32,
    #[serde(rename = "p")]
    parallelism: u32,
}

#[derive(Serialize, Deserialize)]
struct Cipher {
    name: String,
    #[serde(with = "as_base64")]
    nonce: Vec<u8>,
}

/// Reads the JSON, and refuses what it would not be right or not be cheap to open.
pub(crate) fn parse(json: &[u8]) -> Result<Sealed, KeyError> {
    let refused = |reason: String| Err(KeyError::Encryption(reason));
    let sealed: Sealed = match serde_json::from_slice(json) {
        Ok(sealed) => sealed,
        Err(error) => return refused(error.to_string()),
    };
    let Sealed { kdf, cipher, .. } = &sealed;
    for (name, known) in [(&kdf.name, KDF), (&cipher.name, CIPHER)] {
        if name != known {
            return refused(format!("`{}` is not {known}", excerpt(name)));
        }
    }
    let Params {
        cost,
        block_size,
        parallelism,
    } = kdf.params;
    if !COSTS.contains(&cost) || block_size != BLOCK_SIZE || parallelism != PARALLELISM {
        return refused("its scrypt parameters are not ones of cosign".to_owned());
    }
    if cipher.nonce.len() != NONCE {
        return refused(format!("its nonce has not {NONCE} bytes"));
    }
    Ok(sealed)
}

impl Sealed {
    pub(crate) fn open(&self, password: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let cipher = cipher(password, &self.kdf.salt, self.kdf.params.cost)?;
        let nonce = Nonce::from_slice(&self.cipher.nonce);
        let opened = cipher.decrypt(nonce, self.ciphertext.as_slice());
        opened.map(Zeroizing::new).map_err(|_| KeyError::Password)
    }
}

/// Encrypts `der` with `password`. Returns the JSON.
pub(crate) fn seal(der: &[u8], password: &[u8]) -> Result<Vec<u8>, KeyError> {
    let (mut salt, mut nonce) = ([0; SALT], [0; NONCE]);
    let random = SystemRandom::new();
    random
        .fill(&mut salt)
        .and_then(|()| random.fill(&mut nonce))
        .map_err(|_| KeyError::Random)?;
    let ciphertext = cipher(password, &salt, COST)?
        .encrypt(Nonce::from_slice(&nonce), der)
        .map_err(|_| KeyError::Invalid)?;
    let sealed = Sealed {
        kdf: Kdf {
            name: KDF.to_owned(),
            params: Params {
                cost: COST,
                block_size: BLOCK_SIZE,
                parallelism: PARALLELISM,
            },
            salt: salt.to_vec(),
        },
        cipher: Cipher {
            name: CIPHER.to_owned(),
            nonce: nonce.to_vec(),
        },
        ciphertext,
    };
    serde_json::to_vec(&sealed).map_err(|error| KeyError::Encryption(error.to_string()))
}

fn cipher(password: &[u8], salt: &[u8], cost: u64) -> Result<XSalsa20Poly1305, KeyError> {
    let refused = |reason: &str| KeyError::Encryption(reason.to_owned());
    let log_cost = u8::try_from(cost.ilog2()).map_err(|_| refused("its cost is not known"))?;
    let params = scrypt::Params::new(log_cost, BLOCK_SIZE, PARALLELISM, 32)
        .map_err(|_| refused("its scrypt parameters are not valid"))?;
    let mut key = Zeroizing::new([0; 32]);
    scrypt::scrypt(password, salt, &params, &mut *key)
        .map_err(|_| refused("its scrypt parameters are not valid"))?;
    Ok(XSalsa20Poly1305::new(Key::from_slice(&*key)))
}
