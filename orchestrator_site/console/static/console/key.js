/* Copies the new key. Without permission for the clipboard, it selects the key instead. */
"use strict";
{
  const key = document.getElementById("key");
  const copied = document.getElementById("copied");

  document.getElementById("copy").addEventListener("click", async () => {
    key.select();
    try {
      await navigator.clipboard.writeText(key.value);
      copied.textContent = "Copied.";
    } catch {
      copied.textContent = "Selected: copy it with Ctrl+C.";
    }
  });
}
