"use strict";
// Chooses the reader's time zone, and solves the puzzle that a sign-up needs while too many requests come.
(() => {
  const form = document.querySelector("form[data-puzzle]");
  const zones = document.querySelector("select[data-detect]");
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zones && [...zones.options].some((option) => option.value === own)) zones.value = own;
  if (!form) return;

  const bytes = (hex) => Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16));
  const solve = async (challenge) => {
    const { nonce, salt, cost, keyLength, keyPrefix } = challenge.parameters;
    const password = new Uint8Array(20);
    password.set(bytes(nonce));
    for (let counter = 0; ; counter += 1) {
      new DataView(password.buffer).setUint32(16, counter);
      const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
      const rule = { name: "PBKDF2", hash: "SHA-256", salt: bytes(salt), iterations: cost };
      const derived = new Uint8Array(await crypto.subtle.deriveBits(rule, key, keyLength * 8));
      const derivedKey = Array.from(derived, (byte) => byte.toString(16).padStart(2, "0")).join("");
      if (derivedKey.startsWith(keyPrefix)) return btoa(JSON.stringify({ challenge, solution: { counter, derivedKey } }));
    }
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    form.querySelector("button").disabled = true;
    try {
      const response = await fetch(form.dataset.puzzle);
      if (response.status === 200) {
        form.querySelector(".working").textContent = form.dataset.working;
        const field = document.createElement("input");
        Object.assign(field, { type: "hidden", name: "puzzle", value: await solve(await response.json()) });
        form.append(field);
      }
    } finally {
      form.submit();
    }
  });
  // The button works again after the reader came back to the page.
  addEventListener("pageshow", () => { form.querySelector("button").disabled = false; });
})();
