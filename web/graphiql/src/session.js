// What this browser tab remembers. Variables and keys can be secrets, so nothing outlives the tab.
const KEY = "slotwire:key";

export function storedKey() {
  return sessionStorage.getItem(KEY);
}

export function storeKey(key) {
  sessionStorage.setItem(KEY, key);
}

/** Tabs and history of one user: another demo's ids would find nothing here. */
export function editorStorage(owner) {
  const prefix = `slotwire:${owner}:`;
  return {
    get length() {
      return sessionStorage.length;
    },
    getItem: (name) => sessionStorage.getItem(prefix + name),
    setItem: (name, value) => sessionStorage.setItem(prefix + name, value),
    removeItem: (name) => sessionStorage.removeItem(prefix + name),
    clear: () => sessionStorage.clear(),
  };
}
